/**
 * Adds machines to a list that come while it is open, and takes those away that are deleted. Rows that are loaded stay
 * where they are when they do not match the filter any more: nothing jumps away under the pointer.
 */
import type { Machine } from "@api/machine_pb.js";
import type { MachineFilter } from "@api/machine_service_pb.js";
import { useEffect, useMemo, useState } from "react";
import { useChanges } from "../../live/live-provider.tsx";
import { matches } from "./matches.ts";

/** Most machines that come or go before the list says that it has to be read again. */
const maxKept = 2_000;

/** What has happened to a list since its pages were read. */
interface Since {
  /** Machines that came, and undefined for those that went, by id. */
  readonly machines: ReadonlyMap<string, Machine | undefined>;
  /** Machines that came and of which only the server knows whether they belong to the list. */
  readonly unsure: ReadonlySet<string>;
}

const nothing: Since = { machines: new Map(), unsure: new Set() };

/** The rows to show. */
export interface LiveRows {
  readonly rows: readonly Machine[];
  /** How many machines may have come that are not among the rows. */
  readonly unsure: number;
  /** Forgets what has happened, when the pages are read again. */
  readonly forget: () => void;
}

/**
 * Returns the loaded machines, which are in the order of their ids, with those that have come and without the gone.
 * `isWhole` says that there are no further pages.
 */
export function useLiveRows(loaded: readonly Machine[], filter: MachineFilter, isWhole: boolean): LiveRows {
  const [since, setSince] = useState(nothing);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter makes another list.
  useEffect(() => setSince(nothing), [filter]);
  useChanges((changes) => {
    const last = loaded.at(-1)?.id ?? "";
    const came = changes.flatMap(({ kind, machineId, machine }): [string, Machine | undefined, boolean?][] => {
      // What comes after the loaded rows is as it is then when the page there is loaded.
      if (machineId === "" || (!isWhole && machineId > last)) return [];
      if (machine === undefined) return [[machineId, undefined]];
      const isMatch = matches(machine, filter);
      if (isMatch === undefined && kind !== "machine_created") return [];
      return isMatch === false || hasRow(loaded, machineId) ? [] : [[machineId, machine, isMatch === undefined]];
    });
    if (came.length === 0) return;
    setSince((former) => {
      const machines = new Map(former.machines);
      const unsure = new Set(former.unsure);
      for (const [id, machine, isUnsure = false] of came) {
        if (isUnsure || (machine !== undefined && machines.size >= maxKept && !machines.has(id))) unsure.add(id);
        else machines.set(id, machine);
        if (machine === undefined) unsure.delete(id);
      }
      return { machines, unsure };
    });
  });
  const rows = useMemo(() => merge(loaded, since.machines), [loaded, since]);
  return { rows, unsure: since.unsure.size, forget: () => setSince(nothing) };
}

/** Puts what came between the loaded rows, and leaves out what went. */
function merge(loaded: readonly Machine[], since: Since["machines"]): readonly Machine[] {
  if (since.size === 0) return loaded;
  const came = [...since].flatMap(([id, machine]) => (machine === undefined || hasRow(loaded, id) ? [] : [machine]));
  const kept = loaded.filter(({ id }) => !(since.has(id) && since.get(id) === undefined));
  if (came.length === 0) return kept;
  return [...kept, ...came].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function hasRow(machines: readonly Machine[], id: string): boolean {
  let [low, high] = [0, machines.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = machines[middle]?.id ?? "";
    if (found === id) return true;
    if (found < id) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}
