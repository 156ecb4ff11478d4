/**
 * Deleting what is kept for a while only, a batch at a time: each is a short transaction, so that nobody waits long for its locks and
 * the write-ahead log fills evenly.
 *
 * A heartbeat whose refused report is recorded already leaves that record alone (machine_history_refused_report_key). One that repeats
 * such a report while its old record is being deleted waits for that batch, and then records it anew.
 */
import { sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { adminRequest, historyFloor, machineHistory } from "../schema/index.ts";

/** Any number will do that no other advisory lock of this program has. */
const retentionLock = 4_716_022_920;

/** Takes the right to delete until the transaction ends; false while another server has it. Goes with its transaction, so that poolers do no harm. */
export async function tryRetentionLock(tx: Transaction): Promise<boolean> {
  const { rows } = await tx.execute<{ taken: boolean }>(
    sql`select pg_try_advisory_xact_lock(${retentionLock}::bigint) as taken`,
  );
  return rows[0]?.taken === true;
}

/**
 * Deletes the `limit` oldest of the events that are older than `days`, found by the index on their time, and moves the floor of the
 * history up to the last of them. Returns how many it deleted. As an array, the ids are looked up one by one; as a join, PostgreSQL
 * reads a table of some size from end to end for each batch.
 */
export async function deleteOldEvents(tx: Transaction, days: number, limit: number): Promise<number> {
  const { rows } = await tx.execute<{ deleted: number }>(sql`
    with deleted as (
      delete from ${machineHistory}
       where id = any (array(
         select id from ${machineHistory} where at < now() - make_interval(days => ${days}) order by at limit ${limit}
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
 * Deletes the `limit` oldest of the answered calls that are older than `days`, by the index on their time, and returns how many those
 * were. By their place in the table: nobody changes a call once it is answered.
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
