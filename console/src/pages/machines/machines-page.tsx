/** The machines, as many as there are: pages are asked for as one scrolls, and rows change as the machines do. */
import type { Machine } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { useInfiniteQuery } from "@connectrpc/connect-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { useChanges } from "../../live/live-provider.tsx";
import { ChipFilter } from "../../ui/chip-filter.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { formatCount } from "../../ui/format.ts";
import { SwitchMenu } from "../../ui/menu.tsx";
import { columnChoices, machineColumns, usualColumns } from "./machine-columns.tsx";
import {
  addCondition,
  listConditions,
  removeCondition,
  suggestions,
  toMachineFilter,
  toSelector,
} from "./machines-search.ts";
import { nothingSelected, refreshSelected, SelectionBar } from "./selection-bar.tsx";
import { useLiveRows } from "./use-live-rows.ts";

/** Machines in a page of the API. */
const pageSize = 200;

/** The page at /machines. */
export function MachinesPage() {
  const search = useSearch({ from: "/machines" });
  const navigate = useNavigate({ from: "/machines" });
  const conditions = listConditions(search);
  // The columns are in the URL too, and change nothing of what is asked for.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the conditions are what the filter is made of.
  const filter = useMemo(() => toMachineFilter(search), [conditions.join("\n")]);
  const query = useInfiniteQuery(
    MachineService.method.listMachines,
    { filter, pageSize, pageToken: "" },
    { pageParamKey: "pageToken", getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined },
  );
  const machines = useMemo(() => query.data?.pages.flatMap((page) => page.machines) ?? noMachines, [query.data]);
  const { isFetchingNextPage, hasNextPage, fetchNextPage } = query;
  const { rows, unsure, forget } = useLiveRows(machines, filter, query.isSuccess && !hasNextPage);
  const [selected, setSelected] = useState(nothingSelected);
  useChanges((changes) => setSelected((former) => refreshSelected(former, changes)));
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter shows other machines.
  useEffect(() => setSelected(nothingSelected), [filter]);
  const selectedIds = useMemo(() => new Set(selected.machines.keys()), [selected]);
  const columns = search.columns ?? usualColumns;

  return (
    <>
      <h1>Machines</h1>
      <div className="toolbar">
        <ChipFilter
          label="Filter"
          placeholder="Filter: state=stale, provider=…, label.rack=…"
          chips={conditions.map((text) => ({ text }))}
          suggestions={suggestions}
          onAdd={(text) => {
            const next = addCondition(search, text);
            if (typeof next === "string") return next;
            void navigate({ search: next });
            return undefined;
          }}
          onRemove={(text) => void navigate({ search: removeCondition(search, text) })}
        />
        <SwitchMenu
          label="Columns"
          switches={columnChoices.map(([id, name]) => ({ id, name, isOn: columns.includes(id) }))}
          onChange={(id, isOn) => {
            const next = isOn ? [...columns, id] : columns.filter((each) => each !== id);
            void navigate({ search: { ...search, columns: next.length > 0 ? next : ["id"] }, replace: true });
          }}
        />
      </div>
      <SelectionBar selected={selected} filter={filter} selector={toSelector(search)} onSelect={setSelected} />
      {query.isError && <ErrorNote error={query.error} onRetry={() => void query.refetch()} />}
      {unsure > 0 && (
        <p role="status">
          {formatCount(unsure)} new:{" "}
          <button
            type="button"
            onClick={() => {
              forget();
              void query.refetch();
            }}
          >
            Reload
          </button>
        </p>
      )}
      <DataTable
        caption="Machines"
        columns={machineColumns}
        hiddenColumns={columnChoices.flatMap(([id]) => (columns.includes(id) ? [] : [id]))}
        rows={rows}
        getRowId={(machine) => machine.id}
        onReachEnd={() => {
          if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
        }}
        onOpen={({ id }) => void navigate({ to: "/machines/$machineId", params: { machineId: id } })}
        selection={{
          ids: selectedIds,
          onChange: (ids) => setSelected({ machines: pick(ids, rows, selected.machines), isAll: false }),
        }}
        note={query.isPending || isFetchingNextPage ? "Loading…" : undefined}
        empty="No machine matches."
      />
    </>
  );
}

/** Returns the machines with these ids. Some may have been selected by the filter and are not among the rows. */
function pick(ids: ReadonlySet<string>, rows: readonly Machine[], former: ReadonlyMap<string, Machine>) {
  const byId = new Map([...former, ...rows.map((row) => [row.id, row] as const)]);
  return new Map([...ids].flatMap((id) => [[id, byId.get(id)] as const]).filter(hasMachine));
}

function hasMachine(entry: readonly [string, Machine | undefined]): entry is readonly [string, Machine] {
  return entry[1] !== undefined;
}

const noMachines: readonly Machine[] = [];
