/** Machines that are held: nothing is installed on them until somebody releases them, or their hold ends. */
import type { Machine } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { Role } from "@api/role_pb.js";
import { useInfiniteQuery } from "@connectrpc/connect-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { ReleaseDialog } from "../../actions/hold-dialog.tsx";
import { type Targets, toTargets } from "../../actions/targets.ts";
import { useRefresh } from "../../live/use-refresh.ts";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { formatCount } from "../../ui/format.ts";
import { toCommand } from "../../ui/shell-words.ts";
import { holdColumns } from "./hold-columns.tsx";
import { holdRules, toHoldsFilter, toHoldsSelector } from "./holds-filter.ts";

/** Machines in a page of the API. */
const pageSize = 200;

/** The page at /holds. */
export function HoldsPage() {
  const search = useConditions(useSearch({ from: "/holds" }), holdRules);
  const navigate = useNavigate({ from: "/holds" });
  const { reason } = useMay(Role.OPERATOR);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [released, setReleased] = useState<Targets>();
  const filter = useMemo(() => toHoldsFilter(search), [search]);
  const query = useInfiniteQuery(
    MachineService.method.listMachines,
    { filter, pageSize, pageToken: "" },
    { pageParamKey: "pageToken", getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined },
  );
  useRefresh(MachineService.method.listMachines, ({ kind }) => kind === "machine_held");
  // Changes reach the rows before the list is asked for again.
  const machines = useMemo(
    () => query.data?.pages.flatMap((page) => page.machines).filter(({ hold }) => hold !== undefined) ?? none,
    [query.data],
  );
  const chosen = machines.filter(({ id }) => selected.has(id));
  const { isFetchingNextPage, hasNextPage, fetchNextPage } = query;

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
      {query.isError && <ErrorNote error={query.error} onRetry={() => void query.refetch()} />}
      <DataTable
        caption="Holds"
        columns={holdColumns}
        rows={machines}
        getRowId={({ id }) => id}
        selection={{ ids: selected, onChange: setSelected }}
        onReachEnd={() => {
          if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
        }}
        note={query.isPending || isFetchingNextPage ? "Loading…" : undefined}
        empty={search.filter === undefined ? "No machine is held." : "No machine that is held matches."}
      />
      <h2>In the terminal</h2>
      <CopyableCommand command={toCommand("bmaas", "machines", "list", "--selector", toHoldsSelector(search))} />
      {released !== undefined && <ReleaseDialog targets={released} onClose={() => setReleased(undefined)} />}
    </>
  );
}

const none: readonly Machine[] = [];
