/** Holds of machines, set and released by operators who hold the machines' rows. */
import { asc, sql } from "drizzle-orm";
import { formatInstant } from "../../base/time-text.ts";
import type { Transaction } from "../client.ts";
import { parseDatabaseTime, toDatabaseTime } from "../database-time.ts";
import { agentStarted, machineHold, osInstallationRequest } from "../schema/index.ts";
import { isHolding } from "../schema/machine-hold.ts";
import { isOpen } from "../schema/os-installation-request.ts";
import { arrayParameter } from "./array-parameter.ts";
import { Candidates, type Refuse, refuseAll } from "./candidates.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory, type HistoryEntry } from "./machine-history.ts";

/** A hold as it is stored. */
export type HoldRow = typeof machineHold.$inferSelect;

/** A hold to set. */
export type NewHold = Pick<HoldRow, "machineId" | "reason" | "ticket" | "isMuted"> & {
  /** When it ends: at a time, after so many seconds by the database's clock, or when an operator ends it. */
  readonly end: { readonly at: Date } | { readonly afterSeconds: number } | undefined;
};

/** The machine is held, so that no installation is requested of it. */
export class MachineHeldError extends Error {
  override readonly name = "MachineHeldError";
  readonly machineId: string;
  constructor(hold: HoldRow) {
    super(`machine ${hold.machineId} is held ${describeHold(hold)}; release it first`);
    this.machineId = hold.machineId;
  }
}

/** The hold would end before it begins. */
export class HoldInPastError extends Error {
  override readonly name = "HoldInPastError";
  constructor() {
    super("is in the past: give a later time, or none for a hold that only an operator ends");
  }
}

/** Returns who holds the machine, why, and until when, as the end of a sentence. */
export function describeHold({ heldBy, reason, ticket, until }: Omit<HoldRow, "machineId">): string {
  const end = until === null ? "" : ` until ${formatInstant(until)}`;
  return `by ${heldBy}${end}: ${reason}${ticket === null ? "" : ` (${ticket})`}`;
}

/**
 * Holds the machines, no machine twice, and returns for each the hold whose place this one takes. Refuses machines with
 * MachineNotFoundError, and with HoldInPastError for an end that has passed by the database's clock.
 *
 * Deliveries go on until `settleHolds`, with which the transaction has to end.
 */
export async function setHolds(
  tx: Transaction,
  holds: readonly NewHold[],
  actor: string,
  refuse: Refuse = refuseAll,
): Promise<Map<string, HoldRow | undefined>> {
  const candidates = new Candidates(holds, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  const ends = await findEnds(tx, candidates);
  for (const { machineId, isPast } of ends.values()) if (isPast) candidates.refuse(machineId, new HoldInPastError());
  const { machineIds } = candidates;
  if (machineIds.length === 0) return new Map();
  const before = await findHolds(tx, machineIds);
  const entries: HistoryEntry[] = Array.from(candidates, ({ machineId, reason, ticket, isMuted }) => {
    const end = ends.get(machineId)?.end;
    const until = end == null ? null : parseDatabaseTime(end).toISOString();
    return {
      machineId,
      actor,
      kind: "machine_held",
      detail: { reason, ticket, until, muted: isMuted ? "true" : null },
    };
  });
  await writeHolds(tx, candidates, ends, actor);
  await appendHistory(tx, entries);
  return new Map(machineIds.map((machineId) => [machineId, before.get(machineId)]));
}

/** What agents have been given of the open requests of machines, in a form that changes with each delivery. */
export type GivenRequests = ReadonlyMap<string, string>;

/** Returns what the machines' agents have been given so far, by machine and by the index of the open requests. */
export async function findGivenRequests(tx: Transaction, machineIds: readonly string[]): Promise<GivenRequests> {
  const { rows } = await tx.execute<{ machine_id: string; given: string }>(sql`
    select machine_id, string_agg(generation || ' ' || times_given, ', ' order by generation) as given
      from ${osInstallationRequest} request
     where machine_id = any(${arrayParameter(machineIds, "uuid")}) and ${sql.raw(isOpen("request"))}
     group by machine_id`);
  return new Map(rows.map(({ machine_id: machineId, given }) => [machineId, given]));
}

/**
 * Ends a transaction that holds machines. Returns those of them whose agent was given an open request, or finished it,
 * after `before` was read.
 *
 * It locks the agents' rows as deliveries do, in machine-id order, so that a delivery either commits before, or sees
 * the holds: once the transaction is committed, no agent is given an installation of these machines. Heartbeats of the
 * machines, and all those that share a transaction with one, wait until then, so this comes after everything else.
 */
export async function settleHolds(
  tx: Transaction,
  machineIds: readonly string[],
  before: GivenRequests,
): Promise<string[]> {
  await tx
    .select({ machineId: agentStarted.machineId })
    .from(agentStarted)
    .where(sql`${agentStarted.machineId} = any(${arrayParameter(machineIds, "uuid")})`)
    .orderBy(asc(agentStarted.machineId))
    .for("no key update");
  const after = await findGivenRequests(tx, machineIds);
  return machineIds.filter((machineId) => before.get(machineId) !== after.get(machineId));
}

/** When a hold ends. */
interface End {
  readonly machineId: string;
  /** As PostgreSQL writes it, to the microsecond; null if only an operator ends the hold. */
  readonly end: string | null;
  readonly isPast: boolean;
}

/** Returns when the holds end, by machine and the database's clock. */
async function findEnds(tx: Transaction, holds: Iterable<NewHold>): Promise<Map<string, End>> {
  const all = [...holds];
  const times = all.map(({ end }) => (end !== undefined && "at" in end ? toDatabaseTime(end.at) : null));
  const seconds = all.map(({ end }) =>
    end !== undefined && "afterSeconds" in end ? end.afterSeconds.toString() : null,
  );
  const machineIds = all.map(({ machineId }) => machineId);
  const { rows } = await tx.execute<{ machine_id: string; end: string | null; is_past: boolean }>(sql`
    select machine_id, ended_at::text as end, coalesce(ended_at <= now(), false) as is_past
      from unnest(
        ${arrayParameter(machineIds, "uuid")}, ${arrayParameter(times, "timestamptz")}, ${arrayParameter(seconds, "text")}
      ) as hold (machine_id, at, after_seconds)
     cross join lateral (select coalesce(at, now() + make_interval(secs => after_seconds::float8)) as ended_at) as known`);
  return new Map(
    rows.map(({ machine_id: machineId, end, is_past: isPast }) => [machineId, { machineId, end, isPast }]),
  );
}

async function writeHolds(
  tx: Transaction,
  holds: Iterable<NewHold>,
  ends: ReadonlyMap<string, End>,
  actor: string,
): Promise<void> {
  const all = [...holds];
  const column = (
    read: (hold: NewHold) => string | boolean | null,
    type: "uuid" | "text" | "boolean" | "timestamptz",
  ) => arrayParameter(all.map(read), type);
  await tx.execute(sql`
    insert into ${machineHold} (machine_id, reason, ticket, is_muted, until, held_by, held_at)
    select *, ${actor}, now() from unnest(
      ${column(({ machineId }) => machineId, "uuid")},
      ${column(({ reason }) => reason, "text")},
      ${column(({ ticket }) => ticket, "text")},
      ${column(({ isMuted }) => isMuted, "boolean")},
      ${column(({ machineId }) => ends.get(machineId)?.end ?? null, "timestamptz")}
    )
    on conflict (machine_id) do update
       set reason = excluded.reason, ticket = excluded.ticket, is_muted = excluded.is_muted, until = excluded.until,
           held_by = excluded.held_by, held_at = excluded.held_at`);
}

/**
 * Releases those of the machines that are held, and returns for each machine the hold that has ended by that. Refuses
 * machines with MachineNotFoundError.
 */
export async function clearHolds(
  tx: Transaction,
  machines: readonly { readonly machineId: string }[],
  actor: string,
  refuse: Refuse = refuseAll,
): Promise<Map<string, HoldRow | undefined>> {
  const candidates = new Candidates(machines, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  const { machineIds } = candidates;
  const held = await findHolds(tx, machineIds);
  await tx.delete(machineHold).where(sql`${machineHold.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  const entries = Array.from(held.values(), ({ machineId, reason }): HistoryEntry => {
    return { machineId, actor, kind: "machine_released", detail: { reason } };
  });
  await appendHistory(tx, entries);
  return new Map(machineIds.map((machineId) => [machineId, held.get(machineId)]));
}

/** Returns the holds that count now, by machine. */
export async function findHolds(tx: Transaction, machineIds: readonly string[]): Promise<Map<string, HoldRow>> {
  const rows = await tx
    .select()
    .from(machineHold)
    .where(
      sql`${machineHold.machineId} = any(${arrayParameter(machineIds, "uuid")}) and ${sql.raw(isHolding("machine_hold"))}`,
    );
  return new Map(rows.map((row) => [row.machineId, row]));
}
