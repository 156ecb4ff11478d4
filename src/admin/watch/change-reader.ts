/** Reads what changed since a point, batch after batch, with the current state of the machines and enrolments. */
import type { Enrolment } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import type { Database } from "../../db/client.ts";
import { findEnrolments } from "../../db/queries/enrolment-list.ts";
import type { IssueRow } from "../../db/queries/issue-list.ts";
import {
  followMachineChanges,
  type IssueChange,
  listProgressChanges,
  listSilenceChanges,
  type MachineChange,
  type QuietChange,
} from "../../db/queries/machine-change.ts";
import { toEnrolments } from "../enrolment/to-enrolment.ts";
import { readMachines } from "../machine/read-machine.ts";
import type { ResumePoint } from "./resume-token.ts";

/** One change as watchers see it. */
export interface WatchEvent {
  /** Point that continues after this event. */
  readonly point: ResumePoint;
  /** The machine, or the enrolment if `isOfEnrolment`; empty for an issue of the server. */
  readonly machineId: string;
  readonly kind: string;
  readonly actor: string;
  readonly at: Date;
  readonly detail: Readonly<Record<string, string | null>>;
  /** Id in the history; absent for what the history does not record. */
  readonly id?: bigint;
  /** The issue that began or ended. */
  readonly issue?: IssueRow;
  /** Whether neither the history nor the changes of issues have it: its point is that of the event before it. */
  readonly isQuiet: boolean;
}

/** Returns whether an event is one of an enrolment and not of a machine. */
export function isOfEnrolment({ kind }: Pick<WatchEvent, "kind">): boolean {
  return kind.startsWith("enrolment_");
}

/** Changes that were read at once. */
export interface ChangeBatch {
  readonly events: readonly WatchEvent[];
  /** Current state of the events' machines, by id; a deleted machine is absent. */
  readonly machines: ReadonlyMap<string, Machine>;
  /** Current state of the events' enrolments, by id; one that has gone is absent. */
  readonly enrolments: ReadonlyMap<string, Enrolment>;
  /** Point that continues after this batch. */
  readonly point: ResumePoint;
  /** Whether there were no further changes to read. */
  readonly isLast: boolean;
}

/**
 * Changes outside the history to look for: none, progress and new enrolments, or silences as well. At last: only if no
 * further changes of the history remain.
 */
export type QuietRead = "none" | "progress" | "all" | "all at last";

/** Reads changes in batches. */
export interface ChangeReader {
  /**
   * Reads the changes after `point`: those that the history records, and those of `quiet` that it does not. Searching
   * for silences reads a whole table. Throws ChangesNotKeptError if the history is of another lineage than `point`.
   */
  read(point: ResumePoint, options: { readonly quiet: QuietRead }): Promise<ChangeBatch>;
}

const maxEvents = 500;
/** A heartbeat dates its rows with the start of its transaction, and may commit this much later, in milliseconds. */
const overlapMs = 15_000;

/** Changes outside the history that were found, and up to when. */
interface Found {
  readonly changes: readonly QuietChange[];
  readonly at: Date;
  readonly isComplete: boolean;
}

/**
 * Creates a reader. It remembers the changes that it returned within the overlap, and returns each once. What it finds
 * at once, as when a site loses its power, it returns in many batches, so that it holds few machines in memory. It
 * searches for `maxSilences` silences at a time.
 */
export function createChangeReader(db: Database, maxSilences = 100_000): ChangeReader {
  const told = new Map<string, number>();
  /** What was found and is not returned yet. */
  let found: Found | undefined;

  async function look(wanted: QuietRead, { silenceAt }: ResumePoint): Promise<Found | undefined> {
    if (wanted === "none") return undefined;
    const after = new Date(silenceAt.getTime() - overlapMs);
    const silences =
      wanted === "all"
        ? await listSilenceChanges(db, after, maxSilences)
        : { changes: [], at: silenceAt, isComplete: true };
    const progress = await listProgressChanges(db, after);
    const changes = [...progress, ...silences.changes].filter((change) => !told.has(toKey(change)));
    const last = silences.changes.at(-1);
    const at = silences.isComplete || last === undefined ? silences.at : new Date(last.at.getTime() + overlapMs);
    return { changes, at, isComplete: silences.isComplete };
  }

  function forgetBefore(timeMs: number): void {
    for (const [key, atMs] of told) if (atMs < timeMs) told.delete(key);
  }

  return {
    async read(point, { quiet: asked }) {
      const { lineage } = point;
      const changes = await followMachineChanges(db, { ...point.position, lineage }, maxEvents);
      const isRead = changes.length < maxEvents;
      found ??= await look(asked !== "all at last" ? asked : isRead ? "all" : "none", point);
      const position = changes.at(-1)?.position ?? point.position;
      const quiet = found?.changes.slice(0, maxEvents - changes.length) ?? [];
      const rest = found?.changes.slice(quiet.length) ?? [];
      const silenceAt = rest.length === 0 && found !== undefined ? found.at : point.silenceAt;
      const events = [
        ...changes.map((change) => toEvent(change, { ...point, position: change.position })),
        ...quiet.map((change) => ({ ...change, ...noWords, point: { ...point, position }, isQuiet: true })),
      ];
      const machines = await findMachines(db, events);
      const enrolments = await readEnrolments(db, events);
      // Only after the last statement that can fail: otherwise a change that was never returned would count as
      // returned.
      for (const change of quiet) told.set(toKey(change), change.at.getTime());
      if (silenceAt > point.silenceAt) forgetBefore(silenceAt.getTime() - 2 * overlapMs);
      const isLast = isRead && rest.length === 0 && found?.isComplete !== false;
      found = rest.length === 0 || found === undefined ? undefined : { ...found, changes: rest };
      return { events, machines, enrolments, point: { position, lineage, silenceAt }, isLast };
    },
  };
}

const noWords = { actor: "", detail: {} };

function toEvent(change: MachineChange | IssueChange, point: ResumePoint): WatchEvent {
  if (!("issue" in change)) return { ...change, id: change.position.id, point, isQuiet: false };
  const { kind, at, issue } = change;
  return { kind, at, issue, machineId: issue.machineId ?? "", ...noWords, point, isQuiet: false };
}

function toKey({ machineId, kind, at }: QuietChange): string {
  return `${machineId} ${kind} ${at.getTime()}`;
}

function findMachines(db: Database, events: readonly WatchEvent[]): Promise<Map<string, Machine>> {
  return readMachines(db, listIds(events.filter((event) => !isOfEnrolment(event) && event.machineId !== "")));
}

async function readEnrolments(db: Database, events: readonly WatchEvent[]): Promise<Map<string, Enrolment>> {
  const enrolments = await toEnrolments(db, await findEnrolments(db, listIds(events.filter(isOfEnrolment))));
  return new Map(enrolments.map((enrolment) => [enrolment.id, enrolment]));
}

function listIds(events: readonly WatchEvent[]): string[] {
  return [...new Set(events.map((event) => event.machineId))];
}
