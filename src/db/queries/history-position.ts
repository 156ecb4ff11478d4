/**
 * Says where a reader is in the history, and whether it can go on from there.
 *
 * Rows become visible in the order of their commits, not of their ids, so a reader that goes by ids misses rows that
 * commit late. A position is the number of the writing transaction, and readers go no further than the oldest
 * transaction under way in this database. Everything before that one has ended, so no row can appear behind a reader.
 */
import { sql } from "drizzle-orm";
import type { Database } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { ReadOnlyDatabaseError } from "../errors.ts";
import { historyFloor, issueChange, machineHistory } from "../schema/index.ts";

/** Position of a reader in the history. */
export interface HistoryPosition {
  /**
   * Number of the transaction that wrote the last row read, or of the oldest transaction whose rows are still to come.
   */
  readonly transaction: bigint;
  /** Id of the last row read of that transaction; 0 for none. */
  readonly id: bigint;
}

/**
 * The changes after a reader's position are not available: they were pruned, or the position belongs to another
 * database, or to a course of this one that ended with a failover.
 */
export class ChangesNotKeptError extends Error {
  override readonly name = "ChangesNotKeptError";
}

/**
 * Returns SQL that tests whether `table` names the transaction `writer` for another database. The table's column `id`
 * has the numbers of transactions without their epoch.
 */
const isElsewhere = (table: string, id: string, databaseName: string) =>
  sql.raw(`exists (
        select from ${table} other
         where other.${id}::text::bigint = (writer::text::bigint & 4294967295)
           and other.${databaseName} <> current_database())`);

/**
 * SQL of the number of the oldest transaction under way that may write to this database; rows of all earlier ones can
 * be read. PostgreSQL numbers the transactions of all its databases together, and another database's may last for hours
 * or be forgotten. One that has ended since the snapshot is in none of the lists, and counts as one of this database
 * until the next look (docs/decisions/0044-changes-are-read-up-to-the-oldest-writer.md).
 */
export const oldestWriter = sql`(
    select least(
      coalesce(
        (select writer from pg_snapshot_xip(pg_current_snapshot()) writer
          where not ${isElsewhere("pg_stat_activity", "backend_xid", "datname")}
            and not ${isElsewhere("pg_prepared_xacts", "transaction", "database")}
          order by writer limit 1),
        pg_snapshot_xmax(pg_current_snapshot())),
      pg_current_xact_id_if_assigned()))`;

/**
 * Which course of which database a position belongs to, as the function database_lineage() of the schema tells it: the
 * system's identifier and the timeline, which PostgreSQL begins anew with each failover and restored backup. A standby
 * that takes over, or a server that is restored from a backup, may lack transactions that a reader has seen, and gives
 * their numbers to others, which the reader would pass over. Without the system's identifier, or empty, if PostgreSQL
 * does not tell: providers may have servers that know no timelines.
 */
export type Lineage = string;

/** SQL of the lineage, which PostgreSQL finds once for a statement. */
export const lineageHere = sql`(select database_lineage())`;

/** How the lineage of a standby ends. It gets a timeline of its own when it takes over. */
const standby = "standby";

/**
 * Returns the position from which a reader sees everything that commits from now on, the lineage to which it belongs,
 * and the database's time.
 */
export async function readHistoryPosition(
  db: Database,
): Promise<{ position: HistoryPosition; lineage: Lineage; at: Date }> {
  const { rows } = await db.execute<{ transaction: string; lineage: string; at: string }>(
    sql`select ${oldestWriter}::text as transaction, ${lineageHere} as lineage, now() as at`,
  );
  const { transaction, lineage, at } = rows[0] as { transaction: string; lineage: string; at: string };
  return { position: { transaction: BigInt(transaction), id: 0n }, lineage, at: parseDatabaseTime(at) };
}

/**
 * Marks the rows of a history that was restored from a dump as old, and returns how many it marked. Their transaction
 * numbers are another server's. Where they exceed this server's, watchers would wait for them, or be told that the
 * changes before them were pruned.
 */
export async function adoptRestoredHistory(db: Database): Promise<number> {
  const { rowCount } = await db.execute(sql`
    with floor_adopted as (
      update ${historyFloor} set transaction = '3'::xid8
       where transaction > pg_snapshot_xmax(pg_current_snapshot())
    ), issues_adopted as (
      update ${issueChange} set transaction = '3'::xid8
       where transaction > pg_snapshot_xmax(pg_current_snapshot())
    )
    update ${machineHistory} set transaction = '3'::xid8
     where transaction > pg_snapshot_xmax(pg_current_snapshot())`);
  return rowCount ?? 0;
}

/** Throws ChangesNotKeptError unless the history has everything after the position, and still is of this lineage. */
export async function checkHistoryPosition(
  db: Database,
  { transaction, id }: HistoryPosition,
  lineage: Lineage,
): Promise<void> {
  const { rows } = await db.execute<{ lineage: string; pruned: boolean; future: boolean }>(sql`
    select ${lineageHere} as lineage,
           exists (
             select from ${historyFloor} where (transaction, history_id) > (${transaction.toString()}::xid8, ${id})
           ) as pruned,
           ${transaction.toString()}::xid8 > pg_snapshot_xmax(pg_current_snapshot()) as future`);
  assertLineage(rows[0]?.lineage, lineage);
  if (rows[0]?.pruned) throw new ChangesNotKeptError("the changes after this token are no longer kept");
  if (rows[0]?.future)
    throw new ChangesNotKeptError("this token is from another database, or from a later state of this one");
}

/**
 * Throws ChangesNotKeptError unless the lineage that was found is the expected one, and ReadOnlyDatabaseError if the
 * database is a standby, which may still take over.
 */
export function assertLineage(found: Lineage | undefined, expected: Lineage): void {
  if (found?.endsWith(standby)) throw new ReadOnlyDatabaseError("the database is read-only: it is a standby");
  if (found === expected) return;
  throw new ChangesNotKeptError(
    "since this token, the database has failed over or been restored, and may have lost changes that were told",
  );
}
