/**
 * Puts machines that have changed into the cache: into the answers of GetMachine, and into pages of ListMachines, row
 * by row. A page of a list keeps its rows; whether a row still matches the list's filter is told by the list itself.
 */
import type { Machine } from "@api/machine_pb.js";
import { type GetMachineResponse, type ListMachinesResponse, MachineService } from "@api/machine_service_pb.js";
import { createConnectQueryKey } from "@connectrpc/connect-query";
import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import type { Changes } from "./live-feed.ts";

/** Keys of all queries of a method, whatever was asked. */
const getMachineKey = createConnectQueryKey({ schema: MachineService.method.getMachine, cardinality: "finite" });
const listMachinesKey = createConnectQueryKey({ schema: MachineService.method.listMachines, cardinality: "infinite" });

/** Returns the newest machine of each id among the changes. */
function collectMachines(changes: Changes): Map<string, Machine> {
  const machines = new Map<string, Machine>();
  for (const { machineId, machine } of changes) {
    if (machine === undefined) machines.delete(machineId);
    else machines.set(machineId, machine);
  }
  return machines;
}

/** Updates the cache. Machines that were deleted are asked for again by whoever shows them. */
export function patchCache(queries: QueryClient, changes: Changes): void {
  const machines = collectMachines(changes);
  for (const query of queries.getQueryCache().findAll({ queryKey: getMachineKey })) {
    const machine = (query.state.data as GetMachineResponse | undefined)?.machine;
    if (machine === undefined) continue;
    const newer = machines.get(machine.id);
    if (newer !== undefined) {
      queries.setQueryData<GetMachineResponse>(query.queryKey, (old) => old && { ...old, machine: newer });
    } else if (changes.some(({ machineId }) => machineId === machine.id)) {
      void queries.invalidateQueries({ queryKey: query.queryKey });
    }
  }
  for (const query of queries.getQueryCache().findAll({ queryKey: listMachinesKey })) {
    const data = query.state.data as InfiniteData<ListMachinesResponse> | undefined;
    if (data === undefined) continue;
    const pages = data.pages.map((page) => patchPage(page, machines));
    if (pages.some((page, index) => page !== data.pages[index])) {
      queries.setQueryData<InfiniteData<ListMachinesResponse>>(query.queryKey, { ...data, pages });
    }
  }
}

/** Returns the page itself if none of its machines has changed. */
function patchPage(page: ListMachinesResponse, machines: ReadonlyMap<string, Machine>): ListMachinesResponse {
  const [first, last] = [page.machines[0]?.id, page.machines.at(-1)?.id];
  if (first === undefined || last === undefined) return page;
  // Pages are ordered by id, so most changes need no search.
  let patched: Machine[] | undefined;
  for (const [id, machine] of machines) {
    if (id < first || id > last) continue;
    const index = findById(page.machines, id);
    if (index === undefined) continue;
    patched ??= [...page.machines];
    patched[index] = machine;
  }
  return patched === undefined ? page : { ...page, machines: patched };
}

function findById(machines: readonly Machine[], id: string): number | undefined {
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
