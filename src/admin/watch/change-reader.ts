/** Reads what changed since a point, one batch after the other, with the machines as they are now. */
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import type { Database } from "../../db/client.ts";
import {
  listMachineChanges,
  listProgressChanges,
  listSilenceChanges,
  type QuietChange,
} from "../../db/queries/machine-change.ts";
import { findMachineOverviews } from "../../db/queries/machine-overview.ts";
import { toMachine } from "../machine/to-machine.ts";
import type { ResumePoint } from "./resume-token.ts";

/** One change as watchers see it. */
export interface WatchEvent {
  /** Goes on after this event. */
  readonly point: ResumePoint;
  readonly machineId: string;
  readonly kind: string;
  readonly actor: string;
  readonly at: Date;
  readonly detail: Readonly<Record<string, string | null>>;
}

/** What was read at once. */
export interface ChangeBatch {
  readonly events: readonly WatchEvent[];
  /** The machines of the events as they are now; a deleted one is absent. */
  readonly machines: ReadonlyMap<string, Machine>;
  /** Goes on after the batch. */
  readonly point: ResumePoint;
  /** No more was there to read. */
  readonly isLast: boolean;
}

/** Reads batch after batch. */
export interface ChangeReader {
  /** Reads on from `point`; looks for silences only when asked, since that reads a whole table. */
  read(point: ResumePoint, options: { withSilences: boolean }): Promise<ChangeBatch>;
}

const maxEvents = 500;
/** A heartbeat dates what it writes with its transaction's start, and may commit this much later, in milliseconds. */
const overlapMs = 15_000;

/** Makes a reader. It remembers what it has told within the overlap, and tells it once. */
export function createChangeReader(db: Database): ChangeReader {
  const told = new Map<string, number>();

  function forgetBefore(timeMs: number): void {
    for (const [key, atMs] of told) if (atMs < timeMs) told.delete(key);
  }

  return {
    async read(point, { withSilences }) {
      const after = new Date(point.silenceAt.getTime() - overlapMs);
      const changes = await listMachineChanges(db, point.position, maxEvents);
      const silences = withSilences ? await listSilenceChanges(db, after) : { changes: [], at: point.silenceAt };
      const progress = await listProgressChanges(db, after);
      const position = changes.at(-1)?.position ?? point.position;
      const quiet = [...progress, ...silences.changes].filter((change) => !told.has(toKey(change)));
      const events = [
        ...changes.map((change): WatchEvent => ({ ...change, point: { ...point, position: change.position } })),
        ...quiet.map((change): WatchEvent => ({ ...change, point: { ...point, position }, actor: "", detail: {} })),
      ];
      const machines = await findMachines(db, events);
      // Not before nothing can fail any more, or a change that was not told would be taken for told.
      for (const change of quiet) told.set(toKey(change), change.at.getTime());
      forgetBefore(silences.at.getTime() - 2 * overlapMs);
      return {
        events,
        machines,
        point: { position, silenceAt: silences.at },
        isLast: changes.length < maxEvents,
      };
    },
  };
}

function toKey({ machineId, kind, at }: QuietChange): string {
  return `${machineId} ${kind} ${at.getTime()}`;
}

async function findMachines(db: Database, events: readonly WatchEvent[]): Promise<Map<string, Machine>> {
  const machineIds = [...new Set(events.map((event) => event.machineId))];
  if (machineIds.length === 0) return new Map();
  const overviews = await findMachineOverviews(db, machineIds);
  return new Map(overviews.map((overview) => [overview.machine.id, toMachine(overview)]));
}
