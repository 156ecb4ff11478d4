/**
 * Adds machines to a list that come while it is open, and takes those away that are deleted. Rows that are loaded stay
 * where they are when they do not match the filter any more: nothing jumps away under the pointer.
 */
import type { Machine } from "@api/machine_pb.js";
import type { MachineFilter } from "@api/machine_service_pb.js";
import { useEffect, useMemo, useRef, useState } from "react";
import { useChanges } from "../../live/live-provider.tsx";
import { findById } from "../../live/patch-cache.ts";
import type { Pages } from "../../ui/use-pages.ts";
import { matches } from "./matches.ts";

/** Most machines that come or go before the list says that it has to be read again. */
const maxKept = 2_000;

/** What has happened to a list since its pages were read. */
interface Since {
  /** Machines that came, and undefined for those that went, by id. */
  readonly machines: ReadonlyMap<string, Machine | undefined>;
  /** Machines that came and of which only the server knows whether they belong to the list. */
  readonly unsure: ReadonlySet<string>;
  /** When that was heard of, by id, in milliseconds. */
  readonly arrivedMs: ReadonlyMap<string, number>;
}

/** How much later than the server's reading a busy page may notice that it reads again, in milliseconds. */
const marginMs = 10_000;

const nothing: Since = { machines: new Map(), unsure: new Set(), arrivedMs: new Map() };

/** The rows to show. */
export interface LiveRows {
  readonly rows: readonly Machine[];
  /** How many machines may have come that are not among the rows. */
  readonly unsure: number;
}

/** Returns the machines that were read, in the order of their ids, with those that have come and without the gone. */
export function useLiveRows(pages: Pages<Machine>, filter: MachineFilter): LiveRows {
  const { rows: loaded, isWhole, isPending, isRereading } = pages;
  const [since, setSince] = useState(nothing);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter, and reading anew, make another list.
  useEffect(() => setSince(nothing), [filter, isPending]);
  // What is read again has everything that had happened when it was asked for, and perhaps not what happened since.
  const beganMs = useRef(0);
  useEffect(() => {
    if (isRereading) beganMs.current = Date.now();
    else setSince((now) => keepSince(now, beganMs.current));
  }, [isRereading]);
  useChanges((changes) => {
    const last = loaded.at(-1)?.id ?? "";
    const came = changes.flatMap(({ kind, machineId, machine }): [string, Machine | undefined, boolean?][] => {
      // What comes after the loaded rows is as it is then when the page there is loaded.
      if (machineId === "" || (!isWhole && machineId > last)) return [];
      if (machine === undefined) return [[machineId, undefined]];
      const isMatch = matches(machine, filter);
      if (isMatch === undefined && kind !== "machine_created") return [];
      const isKnown = isMatch === false || findById(loaded, machineId) !== undefined;
      return isKnown ? [] : [[machineId, machine, isMatch === undefined]];
    });
    if (came.length === 0) return;
    setSince((former) => {
      const machines = new Map(former.machines);
      const unsure = new Set(former.unsure);
      const arrivedMs = new Map(former.arrivedMs);
      for (const [id, machine, isUnsure = false] of came) {
        if (isUnsure || (machine !== undefined && machines.size >= maxKept && !machines.has(id))) unsure.add(id);
        else machines.set(id, machine);
        if (machine === undefined) unsure.delete(id);
        arrivedMs.set(id, Date.now());
      }
      return { machines, unsure, arrivedMs };
    });
  });
  const rows = useMemo(() => merge(loaded, since.machines), [loaded, since]);
  return { rows, unsure: since.unsure.size };
}

/** Returns what has happened since some moment. */
function keepSince({ machines, unsure, arrivedMs }: Since, beganMs: number): Since {
  const isNew = (id: string) => (arrivedMs.get(id) ?? 0) >= beganMs - marginMs;
  return {
    machines: new Map([...machines].filter(([id]) => isNew(id))),
    unsure: new Set([...unsure].filter(isNew)),
    arrivedMs: new Map([...arrivedMs].filter(([id]) => isNew(id))),
  };
}

/** Puts what came between the loaded rows, and leaves out what went. */
function merge(loaded: readonly Machine[], since: Since["machines"]): readonly Machine[] {
  if (since.size === 0) return loaded;
  const came = [...since].flatMap(([id, machine]) =>
    machine === undefined || findById(loaded, id) !== undefined ? [] : [machine],
  );
  const kept = loaded.filter(({ id }) => !(since.has(id) && since.get(id) === undefined));
  if (came.length === 0) return kept;
  return [...kept, ...came].sort((a, b) => (a.id < b.id ? -1 : 1));
}
