/** Installations of all machines, with how far they are. */
import type { Installation } from "@api/installation_pb.js";
import { InstallationService } from "@api/installation_service_pb.js";
import { Role } from "@api/role_pb.js";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { CancelDialog } from "../../actions/end-dialogs.tsx";
import { RetryDialog } from "../../actions/retry-dialog.tsx";
import type { Targets } from "../../actions/targets.ts";
import { useRefresh } from "../../live/use-refresh.ts";
import { useMay } from "../../session/use-session.ts";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { PagedTable } from "../../ui/paged-table.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { usePages } from "../../ui/use-pages.ts";
import { makeInstallationColumns } from "./installation-columns.tsx";
import { installationRules, toInstallationsCommand, toInstallationsRequest } from "./installations-filter.ts";

/** The page at /installations. */
export function InstallationsPage() {
  const search = useConditions(useSearch({ from: "/installations" }), installationRules);
  const navigate = useNavigate({ from: "/installations" });
  const [asked, setAsked] = useState<{ readonly action: "retry" | "cancel"; readonly targets: Targets }>();
  const { reason } = useMay(Role.OPERATOR);
  const request = useMemo(() => toInstallationsRequest(search), [search]);
  const pages = usePages({ method: InstallationService.method.listInstallations, request, pick });
  useRefresh(
    InstallationService.method.listInstallations,
    ({ kind, machine }) => machine?.installation !== undefined || kind.startsWith("installation"),
  );
  const columns = useMemo(
    () =>
      makeInstallationColumns({
        reason,
        onRetry: (installation) => setAsked({ action: "retry", targets: toTargets(installation) }),
        onCancel: (installation) => setAsked({ action: "cancel", targets: toTargets(installation) }),
      }),
    [reason],
  );

  return (
    <>
      <h1>Installations</h1>
      <div className="toolbar">
        <ConditionFilter
          rules={installationRules}
          conditions={search.filter}
          placeholder="Filter: state=installing, state=failed, machine=…"
          onChange={(next) => void navigate({ search: next })}
        />
      </div>
      <PagedTable
        caption="Installations"
        columns={columns}
        pages={pages}
        getRowId={({ machineId, generation }) => `${machineId} ${generation}`}
        empty={search.filter === undefined ? "Nothing was ever installed." : "No installation matches."}
      />
      <h2>In the terminal</h2>
      <CopyableCommand command={toCommand(...toInstallationsCommand(search))} />
      {asked?.action === "retry" && <RetryDialog targets={asked.targets} onClose={() => setAsked(undefined)} />}
      {asked?.action === "cancel" && <CancelDialog targets={asked.targets} onClose={() => setAsked(undefined)} />}
    </>
  );
}

const pick = (answer: { readonly installations: readonly Installation[] }) => answer.installations;

function toTargets({ machineId, generation }: Installation): Targets {
  return { machines: [{ machineId, generation }], words: machineId };
}
