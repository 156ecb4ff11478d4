/** Installations of all machines, with how far they are. */
import type { Installation } from "@api/installation_pb.js";
import { InstallationService } from "@api/installation_service_pb.js";
import { Role } from "@api/role_pb.js";
import { useInfiniteQuery } from "@connectrpc/connect-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { CancelDialog } from "../../actions/end-dialogs.tsx";
import { RetryDialog } from "../../actions/retry-dialog.tsx";
import type { Targets } from "../../actions/targets.ts";
import { useRefresh } from "../../live/use-refresh.ts";
import { useMay } from "../../session/use-session.ts";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { makeInstallationColumns } from "./installation-columns.tsx";
import { installationRules, toInstallationsCommand, toInstallationsRequest } from "./installations-filter.ts";

/** Installations in a page of the API. */
const pageSize = 200;

/** The page at /installations. */
export function InstallationsPage() {
  const search = useConditions(useSearch({ from: "/installations" }), installationRules);
  const navigate = useNavigate({ from: "/installations" });
  const [asked, setAsked] = useState<{ readonly action: "retry" | "cancel"; readonly targets: Targets }>();
  const { reason } = useMay(Role.OPERATOR);
  const request = useMemo(() => toInstallationsRequest(search), [search]);
  const query = useInfiniteQuery(
    InstallationService.method.listInstallations,
    { ...request, pageSize, pageToken: "" },
    { pageParamKey: "pageToken", getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined },
  );
  useRefresh(
    InstallationService.method.listInstallations,
    ({ kind, machine }) => machine?.installation !== undefined || kind.startsWith("installation"),
  );
  const installations = useMemo(() => query.data?.pages.flatMap((page) => page.installations) ?? none, [query.data]);
  const columns = useMemo(
    () =>
      makeInstallationColumns({
        reason,
        onRetry: (installation) => setAsked({ action: "retry", targets: toTargets(installation) }),
        onCancel: (installation) => setAsked({ action: "cancel", targets: toTargets(installation) }),
      }),
    [reason],
  );
  const { isFetchingNextPage, hasNextPage, fetchNextPage } = query;

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
      {query.isError && <ErrorNote error={query.error} onRetry={() => void query.refetch()} />}
      <DataTable
        caption="Installations"
        columns={columns}
        rows={installations}
        getRowId={({ machineId, generation }) => `${machineId} ${generation}`}
        onReachEnd={() => {
          if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
        }}
        note={query.isPending || isFetchingNextPage ? "Loading…" : undefined}
        empty={search.filter === undefined ? "Nothing was ever installed." : "No installation matches."}
      />
      <h2>In the terminal</h2>
      <CopyableCommand command={toCommand(...toInstallationsCommand(search))} />
      {asked?.action === "retry" && <RetryDialog targets={asked.targets} onClose={() => setAsked(undefined)} />}
      {asked?.action === "cancel" && <CancelDialog targets={asked.targets} onClose={() => setAsked(undefined)} />}
    </>
  );
}

const none: readonly Installation[] = [];

function toTargets({ machineId, generation }: Installation): Targets {
  return { machines: [{ machineId, generation }], words: machineId };
}
