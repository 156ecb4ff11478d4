/** Holds of machines, set and released by operators who hold the machines' rows. */
import { eq, type SQL, sql } from "drizzle-orm";
import { formatInstant } from "../../base/time-text.ts";
import type { Transaction } from "../client.ts";
import { agentStarted, machineHold } from "../schema/index.ts";
import { isHolding } from "../schema/machine-hold.ts";
import { arrayParameter } from "./array-parameter.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory } from "./machine-history.ts";

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
 * Holds the machine, and returns the hold whose place this one takes. Throws MachineNotFoundError, and HoldInPastError
 * for an end that has passed by the database's clock.
 *
 * It locks the agent's row as deliveries do, so that a delivery either commits before, or sees the hold: once this
 * transaction is committed, no agent is given an installation of the machine.
 */
export async function setHold(tx: Transaction, hold: NewHold, actor: string): Promise<HoldRow | undefined> {
  const { end, ...values } = hold;
  const { machineId, reason, ticket, isMuted } = hold;
  await holdMachines(tx, [machineId]);
  await tx.select().from(agentStarted).where(eq(agentStarted.machineId, machineId)).for("no key update");
  const before = (await findHolds(tx, [machineId])).get(machineId);
  const set = { ...values, heldBy: actor, heldAt: sql`now()`, until: end === undefined ? null : toTime(end) };
  const [held] = await tx
    .insert(machineHold)
    .values(set)
    .onConflictDoUpdate({ target: machineHold.machineId, set })
    .returning({ until: machineHold.until, isPast: sql<boolean>`${machineHold.until} <= now()` });
  if (held?.isPast === true) throw new HoldInPastError();
  const until = held?.until?.toISOString() ?? null;
  const detail = { reason, ticket, until, muted: isMuted ? "true" : null };
  await appendHistory(tx, [{ machineId, actor, kind: "machine_held", detail }]);
  return before;
}

function toTime(end: NonNullable<NewHold["end"]>): Date | SQL {
  return "at" in end ? end.at : sql`now() + make_interval(secs => ${end.afterSeconds})`;
}

/** Releases the machine, if it is held. Throws MachineNotFoundError. */
export async function clearHold(tx: Transaction, machineId: string, actor: string): Promise<void> {
  await holdMachines(tx, [machineId]);
  const held = (await findHolds(tx, [machineId])).get(machineId);
  await tx.delete(machineHold).where(eq(machineHold.machineId, machineId));
  if (held === undefined) return;
  await appendHistory(tx, [{ machineId, actor, kind: "machine_released", detail: { reason: held.reason } }]);
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
