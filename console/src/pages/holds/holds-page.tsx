/** Machines that are held: nothing is installed on them until somebody releases them, or their hold ends. */
import type { Machine } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { Role } from "@api/role_pb.js";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { ReleaseDialog } from "../../actions/hold-dialog.tsx";
import { type Targets, toTargets } from "../../actions/targets.ts";
import { useRefresh } from "../../live/use-refresh.ts";
import { useRefreshAt } from "../../live/use-refresh-at.ts";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { formatCount } from "../../ui/format.ts";
import { endsOfHolds } from "../../ui/hold-badge.tsx";
import { PagedTable } from "../../ui/paged-table.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { usePages } from "../../ui/use-pages.ts";
import { holdColumns } from "./hold-columns.tsx";
import { holdRules, toHoldsFilter, toHoldsSelector } from "./holds-filter.ts";

/** The page at /holds. */
export function HoldsPage() {
  const search = useConditions(useSearch({ from: "/holds" }), holdRules);
  const navigate = useNavigate({ from: "/holds" });
  const { reason } = useMay(Role.OPERATOR);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [released, setReleased] = useState<Targets>();
  const request = useMemo(() => ({ filter: toHoldsFilter(search) }), [search]);
  const pages = usePages({ method: MachineService.method.listMachines, request, pick });
  useRefresh(MachineService.method.listMachines, ({ kind }) => kind === "machine_held");
  useRefreshAt([MachineService.method.listMachines], endsOfHolds(pages.rows));
  // Changes reach the rows before the list is asked for again.
  const machines = useMemo(() => pages.rows.filter(({ hold }) => hold !== undefined), [pages.rows]);
  const chosen = machines.filter(({ id }) => selected.has(id));
  // Whoever is held again by somebody else, for another reason, was not selected.
  if (!pages.isPending && chosen.length < selected.size) setSelected(new Set(chosen.map(({ id }) => id)));

  return (
    <>
      <h1>Holds</h1>
      <div className="toolbar">
        <ConditionFilter
          rules={holdRules}
          conditions={search.filter}
          placeholder="Filter: location=…, label.rack=…"
          onChange={(next) => void navigate({ search: next })}
        />
        <ActionButton
          reason={reason ?? (chosen.length === 0 ? "Select the machines to release first." : undefined)}
          onClick={() => setReleased(toTargets(chosen))}
        >
          {chosen.length === 0 ? "Release…" : `Release ${formatCount(chosen.length)}…`}
        </ActionButton>
      </div>
      <PagedTable
        caption="Holds"
        columns={holdColumns}
        pages={pages}
        rows={machines}
        getRowId={({ id }) => id}
        selection={{ ids: selected, onChange: setSelected }}
        empty={search.filter === undefined ? "No machine is held." : "No machine that is held matches."}
      />
      <h2>In the terminal</h2>
      <CopyableCommand command={toCommand("bmaas", "machines", "list", "--selector", toHoldsSelector(search))} />
      {released !== undefined && <ReleaseDialog targets={released} onClose={() => setReleased(undefined)} />}
    </>
  );
}

const pick = (answer: { readonly machines: readonly Machine[] }) => answer.machines;
