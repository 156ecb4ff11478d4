/** The dispatcher's lease, and its position in the history. */
import { sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import {
  deletedReceiver,
  historyFloor,
  issueChange,
  machineHistory,
  receiver,
  receiverDispatch,
} from "../schema/index.ts";
import { type HistoryPosition, oldestWriter } from "./history-position.ts";

/** Locks the dispatcher's row until the transaction ends, and makes it if it is not there. */
export async function lockDispatch(tx: Transaction): Promise<void> {
  await tx.insert(receiverDispatch).values({}).onConflictDoNothing();
  await tx.select({ only: receiverDispatch.only }).from(receiverDispatch).for("update");
}

/** Moves the position to now. The transaction must have locked the row. */
export async function startFromNow(tx: Transaction): Promise<void> {
  await tx.execute(sql`update ${receiverDispatch} set transaction = ${oldestWriter}, history_id = 0`);
}

/**
 * Takes or renews the lease for `leaseMs`, and returns whether `holder` has it. Nobody needs it while there are no
 * receivers and nothing is left of deleted ones, and then nothing is written. An end that is further ahead than a lease
 * lasts is from before the database's clock was set back, and counts as past.
 */
export async function takeDispatchLease(db: Database, holder: string, leaseMs: number): Promise<boolean> {
  const end = sql`now() + make_interval(secs => ${leaseMs / 1000})`;
  const { rows } = await db.execute<{ holder: string }>(sql`
    update ${receiverDispatch} set holder = ${holder}, held_until = ${end}
     where (holder = ${holder} or held_until is null or held_until < now() or held_until > ${end})
       and (exists (select from ${receiver}) or exists (select from ${deletedReceiver}))
    returning holder`);
  return rows.length > 0;
}

/** Ends the lease, if `holder` has it, so that another process takes it at once. */
export async function releaseDispatchLease(db: Database, holder: string): Promise<void> {
  await db.execute(sql`update ${receiverDispatch} set holder = null, held_until = null where holder = ${holder}`);
}

/**
 * Locks the position for `holder`, until the transaction ends, and returns it; or returns undefined if another process
 * has the lease.
 */
export async function lockDispatchPosition(tx: Transaction, holder: string): Promise<HistoryPosition | undefined> {
  const [row] = await tx
    .select({ transaction: receiverDispatch.transaction, id: receiverDispatch.historyId })
    .from(receiverDispatch)
    .where(sql`${receiverDispatch.holder} = ${holder} and ${receiverDispatch.heldUntil} > now()`)
    .for("update");
  return row === undefined ? undefined : { transaction: BigInt(row.transaction), id: row.id };
}

/** Whether the row `log` of the history or of issue_change is after the position and can be read. */
const isUnread = sql`(log.transaction, log.id) > (dispatch.transaction, dispatch.history_id)
             and log.transaction < ${oldestWriter}`;

/** Returns whether there are events after the position that can be read, by the indexes on (transaction, id). */
export async function hasUnreadEvents(db: Database): Promise<boolean> {
  const { rows } = await db.execute<{ unread: boolean }>(sql`
    select exists (select from ${machineHistory} log where ${isUnread})
           or exists (select from ${issueChange} log where ${isUnread}) as unread
      from ${receiverDispatch} dispatch`);
  return rows[0]?.unread === true;
}

/** Moves the position. The transaction must have locked it. */
export async function moveDispatchPosition(tx: Transaction, { transaction, id }: HistoryPosition): Promise<void> {
  await tx.execute(
    sql`update ${receiverDispatch} set transaction = ${transaction.toString()}::xid8, history_id = ${id}`,
  );
}

/** Returns whether events after the position were pruned before they were read. */
export async function isDispatchBehindHistory(db: Database): Promise<boolean> {
  const { rows } = await db.execute(sql`
    select from ${receiverDispatch} dispatch
      join ${historyFloor} floor on (floor.transaction, floor.history_id) > (dispatch.transaction, dispatch.history_id)`);
  return rows.length > 0;
}

/**
 * Moves the position into a history that was restored from a dump of another server, whose transaction numbers exceed
 * this server's, before `adoptRestoredHistory` marks its rows as old. Everything that was not read stays unread.
 * Events that were read may be read again; their deliveries have the same ids.
 */
export async function adoptRestoredDispatch(db: Database): Promise<void> {
  const log = sql`select transaction, id from ${machineHistory} union all select transaction, id from ${issueChange}`;
  await db.execute(sql`
    update ${receiverDispatch} dispatch
       set transaction = '3'::xid8,
           history_id = coalesce(
             (select min(id) - 1 from (${log}) log
               where (log.transaction, log.id) > (dispatch.transaction, dispatch.history_id)),
             (select max(id) from (${log}) log), 0)
     where transaction > pg_snapshot_xmax(pg_current_snapshot())`);
  // What the position says has been read is all that this server knows of them.
  await db.execute(sql`
    update ${receiver} set from_snapshot = '3:3:'
     where pg_snapshot_xmax(from_snapshot::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot())`);
}
