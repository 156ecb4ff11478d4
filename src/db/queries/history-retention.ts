/**
 * Deletes rows that are kept for a limited time, a batch at a time. Each batch is a short transaction, so that others
 * wait only briefly for its locks and the write-ahead log fills evenly.
 *
 * A heartbeat whose refused report is already recorded does not record it again (machine_history_refused_report_key).
 * If it repeats the report while the old record is being deleted, it waits for that batch and then records the report
 * anew.
 */
import { sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { adminRequest, historyFloor, issueChange, machineHistory } from "../schema/index.ts";

/** Key of the advisory lock of retention; no other advisory lock of this program has this number. */
const retentionLock = 4_716_022_920;

/**
 * Tries to take the lock of retention until the transaction ends, and returns false while another server holds it. A
 * lock of the transaction, unlike one of the session, works through poolers.
 */
export async function tryRetentionLock(tx: Transaction): Promise<boolean> {
  const { rows } = await tx.execute<{ taken: boolean }>(
    sql`select pg_try_advisory_xact_lock(${retentionLock}::bigint) as taken`,
  );
  return rows[0]?.taken === true;
}

/** Deletes the `limit` oldest events that are older than `days`, and returns how many it deleted. */
export function deleteOldEvents(tx: Transaction, days: number, limit: number): Promise<number> {
  return deleteOldChanges(tx, machineHistory, days, limit);
}

/** Deletes the `limit` oldest changes of issues that are older than `days`, and returns how many it deleted. */
export function deleteOldIssueChanges(tx: Transaction, days: number, limit: number): Promise<number> {
  return deleteOldChanges(tx, issueChange, days, limit);
}

/**
 * Deletes the oldest rows of what watchers read, by the index on their time, and raises the floor of the history to the
 * last of them. The ids are passed as an array, so that PostgreSQL looks them up one by one; for a join, it would read
 * a large table from end to end for each batch.
 */
async function deleteOldChanges(
  tx: Transaction,
  table: typeof machineHistory | typeof issueChange,
  days: number,
  limit: number,
): Promise<number> {
  const { rows } = await tx.execute<{ deleted: number }>(sql`
    with deleted as (
      delete from ${table}
       where id = any (array(
         select id from ${table} where at < now() - make_interval(days => ${days}) order by at limit ${limit}
       ))
      returning transaction, id
    ), floor_raised as (
      insert into ${historyFloor} as lowest (transaction, history_id)
      select transaction, id from deleted order by transaction desc, id desc limit 1
      on conflict ("only") do update set transaction = excluded.transaction, history_id = excluded.history_id
        where (excluded.transaction, excluded.history_id) > (lowest.transaction, lowest.history_id)
    )
    select count(*)::int as deleted from deleted`);
  return rows[0]?.deleted ?? 0;
}

/**
 * Deletes the `limit` oldest answered calls that are older than `days`, by the index on their time, and returns how
 * many it deleted. It finds them by ctid, since an answered call never changes.
 */
export async function deleteOldAdminRequests(tx: Transaction, days: number, limit: number): Promise<number> {
  const { rows } = await tx.execute<{ deleted: number }>(sql`
    with deleted as (
      delete from ${adminRequest}
       where ctid = any (array(
         select ctid from ${adminRequest} where at < now() - make_interval(days => ${days}) order by at limit ${limit}
       ))
      returning 1
    )
    select count(*)::int as deleted from deleted`);
  return rows[0]?.deleted ?? 0;
}
