/**
 * Puts machines that have changed into the cache: into the answers of GetMachine, and into pages of ListMachines, row
 * by row. A page of a list keeps its rows; whether a row still matches the list's filter is told by the list itself.
 */
import type { Machine } from "@api/machine_pb.js";
import { type GetMachineResponse, type ListMachinesResponse, MachineService } from "@api/machine_service_pb.js";
import { createConnectQueryKey } from "@connectrpc/connect-query";
import type { InfiniteData, Query, QueryClient } from "@tanstack/react-query";
import type { Changes } from "./live-feed.ts";

/** Keys of all queries of a method, whatever was asked. */
const getMachineKey = createConnectQueryKey({ schema: MachineService.method.getMachine, cardinality: "finite" });
const listMachinesKey = createConnectQueryKey({ schema: MachineService.method.listMachines, cardinality: "infinite" });

/** Machines by id as they are now; undefined for those that were deleted. */
type Newest = ReadonlyMap<string, Machine | undefined>;

/** Patches a cache. */
export interface CachePatcher {
  readonly patch: (changes: Changes) => void;
  readonly close: () => void;
}

/** Starts to patch a cache. */
export function patchCache(queries: QueryClient): CachePatcher {
  const cache = queries.getQueryCache();
  /**
   * What changed while an answer was on its way, by the query's hash. The answer may have been made before, and takes
   * the place of what is in the cache.
   */
  const late = new Map<string, Map<string, Machine | undefined>>();

  function apply(query: Query, newest: Newest): void {
    if (isOf(query, "ListMachines")) patchPages(queries, query, newest);
    else patchMachine(queries, query, newest);
  }

  const close = cache.subscribe((event) => {
    if (event.type !== "updated") return;
    const { query, action } = event;
    const missed = late.get(query.queryHash);
    if (missed === undefined || query.state.fetchStatus === "fetching") return;
    late.delete(query.queryHash);
    if (action.type === "success") apply(query, missed);
  });
  return {
    close,
    patch: (changes) => {
      const newest: Newest = new Map(changes.map(({ machineId, machine }) => [machineId, machine]));
      for (const queryKey of [getMachineKey, listMachinesKey]) {
        for (const query of cache.findAll({ queryKey })) {
          apply(query, newest);
          if (query.state.fetchStatus === "idle") continue;
          late.set(query.queryHash, new Map([...(late.get(query.queryHash) ?? []), ...newest]));
        }
      }
    },
  };
}

function isOf({ queryKey }: Query, methodName: string): boolean {
  return (queryKey[1] as { readonly methodName?: string } | undefined)?.methodName === methodName;
}

/** A machine that was deleted is asked for again by whoever shows it. */
function patchMachine(queries: QueryClient, { state, queryKey }: Query, newest: Newest): void {
  const { machine } = (state.data ?? {}) as Partial<GetMachineResponse>;
  if (machine === undefined || !newest.has(machine.id)) return;
  const newer = newest.get(machine.id);
  if (newer === undefined) void queries.invalidateQueries({ queryKey, exact: true });
  else queries.setQueryData<GetMachineResponse>(queryKey, (old) => old && { ...old, machine: newer });
}

function patchPages(queries: QueryClient, { state, queryKey }: Query, newest: Newest): void {
  const data = state.data as InfiniteData<ListMachinesResponse> | undefined;
  if (data === undefined) return;
  const pages = data.pages.map((page) => patchPage(page, newest));
  if (pages.some((page, index) => page !== data.pages[index])) {
    queries.setQueryData<InfiniteData<ListMachinesResponse>>(queryKey, { ...data, pages });
  }
}

/** Returns the page itself if none of its machines has changed. */
function patchPage(page: ListMachinesResponse, newest: Newest): ListMachinesResponse {
  const [first, last] = [page.machines[0]?.id, page.machines.at(-1)?.id];
  if (first === undefined || last === undefined) return page;
  // Pages are ordered by id, so most changes need no search.
  let patched: Machine[] | undefined;
  for (const [id, machine] of newest) {
    if (machine === undefined || id < first || id > last) continue;
    const index = findById(page.machines, id);
    if (index === undefined) continue;
    patched ??= [...page.machines];
    patched[index] = machine;
  }
  return patched === undefined ? page : { ...page, machines: patched };
}

/** Returns the index of a machine in a list that is ordered by id. */
export function findById(machines: readonly Machine[], id: string): number | undefined {
  let [low, high] = [0, machines.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = machines[middle]?.id ?? "";
    if (found === id) return middle;
    if (found < id) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}
