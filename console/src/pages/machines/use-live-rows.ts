/**
 * Adds machines to a list that come while it is open, and takes those away that are deleted. Rows that are loaded stay
 * where they are when they do not match the filter any more: nothing jumps away under the pointer.
 */
import type { Machine } from "@api/machine_pb.js";
import type { MachineFilter } from "@api/machine_service_pb.js";
import { useEffect, useEffectEvent, useMemo, useRef, useState } from "react";
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
}

const nothing: Since = { machines: new Map(), unsure: new Set() };

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
  const before = useRef(nothing);
  const remember = useEffectEvent(() => {
    before.current = since;
  });
  useEffect(() => {
    if (isRereading) remember();
    else setSince((now) => subtract(now, before.current));
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
      for (const [id, machine, isUnsure = false] of came) {
        if (isUnsure || (machine !== undefined && machines.size >= maxKept && !machines.has(id))) unsure.add(id);
        else machines.set(id, machine);
        if (machine === undefined) unsure.delete(id);
      }
      return { machines, unsure };
    });
  });
  const rows = useMemo(() => merge(loaded, since.machines), [loaded, since]);
  return { rows, unsure: since.unsure.size };
}

/** Returns what has happened since some moment: without what was the same then. */
function subtract(now: Since, before: Since): Since {
  if (before === nothing) return now;
  const isNew = ([id, machine]: readonly [string, Machine | undefined]) =>
    !before.machines.has(id) || before.machines.get(id) !== machine;
  return {
    machines: new Map([...now.machines].filter(isNew)),
    unsure: new Set([...now.unsure].filter((id) => !before.unsure.has(id))),
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
