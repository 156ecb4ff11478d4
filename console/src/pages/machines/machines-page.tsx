/** The machines, as many as there are: pages are asked for as one scrolls, and rows change as the machines do. */
import type { Machine } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { useInfiniteQuery } from "@connectrpc/connect-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { ChipFilter } from "../../ui/chip-filter.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { machineColumns } from "./machine-columns.tsx";
import { addCondition, listConditions, removeCondition, stateNames, toMachineFilter } from "./machines-search.ts";

/** Machines in a page of the API. */
const pageSize = 200;

/** The page at /machines. */
export function MachinesPage() {
  const search = useSearch({ from: "/machines" });
  const navigate = useNavigate({ from: "/machines" });
  const filter = useMemo(() => toMachineFilter(search), [search]);
  const query = useInfiniteQuery(
    MachineService.method.listMachines,
    { filter, pageSize, pageToken: "" },
    { pageParamKey: "pageToken", getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined },
  );
  const machines = useMemo(() => query.data?.pages.flatMap((page) => page.machines) ?? noMachines, [query.data]);
  const { isFetchingNextPage, hasNextPage, fetchNextPage } = query;

  return (
    <>
      <h1>Machines</h1>
      <div className="toolbar">
        <ChipFilter
          label="Filter"
          placeholder="Filter: state=stale, provider=…, location=…"
          chips={listConditions(search).map((text) => ({ text }))}
          suggestions={stateNames.map((name) => `state=${name}`)}
          onAdd={(text) => {
            const next = addCondition(search, text);
            if (typeof next === "string") return next;
            void navigate({ search: next });
            return undefined;
          }}
          onRemove={(text) => void navigate({ search: removeCondition(search, text) })}
        />
      </div>
      {query.isError && <ErrorNote error={query.error} onRetry={() => void query.refetch()} />}
      <DataTable
        caption="Machines"
        columns={machineColumns}
        rows={machines}
        getRowId={(machine) => machine.id}
        onReachEnd={() => {
          if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
        }}
        note={query.isPending || isFetchingNextPage ? "Loading…" : undefined}
        empty="No machine matches."
      />
    </>
  );
}

const noMachines: readonly Machine[] = [];
