/** The history of machines. What an operator does is recorded in the same transaction that does it. */
import { asc, eq, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { machineHistory } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";

/** One event of one machine. */
export type HistoryEntry = Pick<typeof machineHistory.$inferInsert, "machineId" | "actor" | "kind" | "detail">;

/**
 * Name of the channel on which a transaction of operators announces that it changed the history, with its number. The
 * history that heartbeats write is not announced: PostgreSQL holds a lock of the whole server while a transaction that
 * notifies commits.
 */
export const historyChannel = "bmaas_history";

/**
 * Appends the entries in order, and announces them at the commit. Their time is the start of the transaction. Not for
 * heartbeats.
 */
export async function appendHistory(tx: Transaction, entries: readonly HistoryEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const machineIds = entries.map((entry) => entry.machineId);
  const actors = entries.map((entry) => entry.actor);
  const kinds = entries.map((entry) => entry.kind);
  const details = entries.map((entry) => JSON.stringify(entry.detail));
  await tx.execute(sql`
    with appended as (
      insert into ${machineHistory} (machine_id, actor, kind, detail)
      select * from unnest(
        ${arrayParameter(machineIds, "uuid")},
        ${arrayParameter(actors, "text")},
        ${arrayParameter(kinds, "text")},
        ${arrayParameter(details, "jsonb")}
      )
    )
    select pg_notify(${historyChannel}, pg_current_xact_id()::text)`);
}

/** Returns all events of one machine, oldest first, by the index on (machine_id, id). */
export function listHistory(
  db: Database | Transaction,
  machineId: string,
): Promise<(typeof machineHistory.$inferSelect)[]> {
  return db
    .select()
    .from(machineHistory)
    .where(eq(machineHistory.machineId, machineId))
    .orderBy(asc(machineHistory.id));
}
