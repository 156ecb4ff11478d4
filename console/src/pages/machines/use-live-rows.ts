/**
 * Adds machines to a list that come while it is open, and takes those away that are deleted. Rows that are loaded stay
 * where they are when they do not match the filter any more: nothing jumps away under the pointer.
 */
import type { Machine } from "@api/machine_pb.js";
import type { MachineFilter } from "@api/machine_service_pb.js";
import { useEffect, useMemo, useState } from "react";
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
  /** When that was heard of, by id, by `performance.now()`. */
  readonly arrivedMs: ReadonlyMap<string, number>;
}

const nothing: Since = { machines: new Map(), unsure: new Set(), arrivedMs: new Map() };

/** The rows to show. */
export interface LiveRows {
  readonly rows: readonly Machine[];
  /** How many machines may have come that are not among the rows. */
  readonly unsure: number;
}

/** Returns the machines that were read, in the order of their ids, with those that have come and without the gone. */
export function useLiveRows(pages: Pages<Machine>, filter: MachineFilter): LiveRows {
  const { rows: loaded, isWhole, isPending, isRereading, error } = pages;
  const [since, setSince] = useState(nothing);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter makes another list.
  useEffect(() => setSince(nothing), [filter]);
  const isBeingRead = isPending || isRereading;
  // What is read has everything that had happened when it was asked for, and perhaps not what happened since. A list
  // that could not be read is as it was before.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only the end of reading matters.
  useEffect(() => {
    if (!isBeingRead && error === null) setSince((now) => keepSince(now, pages));
  }, [isBeingRead]);
  useChanges((changes) => {
    const last = loaded.at(-1)?.id ?? "";
    const heard = changes.flatMap(({ kind, machineId, machine }): Heard[] => {
      // What comes after the loaded rows is as it is then when the page there is loaded.
      if (machineId === "" || (!isWhole && !isPending && machineId > last)) return [];
      if (machine === undefined) return [{ machineId, machine }];
      if (findById(loaded, machineId) !== undefined) return [];
      const isMatch = matches(machine, filter);
      const isUnsure = isMatch === undefined && kind === "machine_created";
      return [{ machineId, machine, fit: isUnsure ? "unsure" : isMatch === true ? "yes" : "no" }];
    });
    if (heard.length > 0) setSince((former) => addHeard(former, heard));
  });
  const rows = useMemo(() => merge(loaded, since.machines), [loaded, since]);
  return { rows, unsure: since.unsure.size };
}

/** A machine that is not loaded, as it is now, and whether it belongs to the list; undefined if it is gone. */
type Heard = { readonly machineId: string } & (
  | { readonly machine: undefined }
  | { readonly machine: Machine; readonly fit: "yes" | "no" | "unsure" }
);

/** Returns what has happened with what was just heard of; the same object if none of it belongs to the list. */
function addHeard(former: Since, heard: readonly Heard[]): Since {
  const isNews = (each: Heard) =>
    each.machine === undefined || each.fit !== "no" || former.machines.has(each.machineId);
  if (!heard.some(isNews)) return former;
  const machines = new Map(former.machines);
  const unsure = new Set(former.unsure);
  const arrivedMs = new Map(former.arrivedMs);
  for (const each of heard) {
    const { machineId: id, machine } = each;
    if (machine === undefined) {
      machines.set(id, undefined);
      unsure.delete(id);
    } else if (each.fit === "no" && machines.get(id) === undefined) {
      continue;
    } else if (each.fit === "unsure" || (machines.size >= maxKept && !machines.has(id))) {
      unsure.add(id);
    } else {
      // A row that has come shows its machine also when that does not match any more.
      machines.set(id, machine);
    }
    arrivedMs.set(id, performance.now());
  }
  return { machines, unsure, arrivedMs };
}

/** Returns what has happened since the pages were asked for, as far as it belongs to the rows that are loaded. */
function keepSince({ machines, unsure, arrivedMs }: Since, { rows, isWhole, whenAsked }: Pages<Machine>): Since {
  const askedMs = whenAsked();
  const last = rows.at(-1)?.id ?? "";
  const isNew = (id: string) => (arrivedMs.get(id) ?? 0) >= askedMs && (isWhole || id <= last);
  return {
    machines: new Map([...machines].filter(([id]) => isNew(id))),
    unsure: new Set([...unsure].filter((id) => isNew(id) && findById(rows, id) === undefined)),
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
