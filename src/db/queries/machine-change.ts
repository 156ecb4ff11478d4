/**
 * Reads what changed since a position, for watchers and receivers: the history, and the issues that began or ended.
 *
 * Rows of both become visible in the order of their commits, not of their ids, so a reader that goes by ids
 * misses rows that commit late. This reader goes by the number of the writing transaction, and no further than the
 * oldest transaction under way. Everything before that one has ended, so no row can appear behind the reader.
 */
import { sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import {
  agentHeartbeat,
  historyFloor,
  installationState,
  issueChange,
  machineEnrolment,
  machineHistory,
  machineState,
  osInstallationRequest,
} from "../schema/index.ts";
import { isOpen } from "../schema/os-installation-request.ts";
import { type IssueColumns, type IssueRow, toIssueRow } from "./issue-list.ts";

/** Position of a reader in the history. */
export interface HistoryPosition {
  /**
   * Number of the transaction that wrote the last row read, or of the oldest transaction whose rows are still to come.
   */
  readonly transaction: bigint;
  /** Id of the last row read of that transaction; 0 for none. */
  readonly id: bigint;
}

/** One row of the history, and its position. */
export interface MachineChange {
  readonly position: HistoryPosition;
  readonly machineId: string;
  readonly at: Date;
  readonly actor: string;
  readonly kind: string;
  readonly detail: Readonly<Record<string, string | null>>;
}

/** An issue that began or ended, which the history does not have: time does it as well as agents and operators. */
export interface IssueChange extends Pick<MachineChange, "position" | "at"> {
  readonly kind: "issue_opened" | "issue_closed";
  readonly issue: IssueRow;
  /** When the comparison before began, which did not see that the issue has begun or ended. */
  readonly unseenAt: Date | null;
}

/**
 * A change that the history does not record: time or a heartbeat after a silence moved a machine to another state, or
 * its installation made progress; or an agent asked to be let in, which strangers do too often to record it.
 */
export interface QuietChange {
  /** The machine, or the enrolment. */
  readonly machineId: string;
  readonly kind: "state_changed" | "installation_progressed" | "enrolment_waiting";
  /** Time of the change. */
  readonly at: Date;
}

/**
 * The changes after a reader's position are not available: they were pruned, or the position belongs to another
 * database.
 */
export class ChangesNotKeptError extends Error {
  override readonly name = "ChangesNotKeptError";
}

/** Returns the position from which a reader sees everything that commits from now on, and the database's time. */
export async function readHistoryPosition(
  db: Database | Transaction,
): Promise<{ position: HistoryPosition; at: Date }> {
  const { rows } = await db.execute<{ transaction: string; at: string }>(
    sql`select pg_snapshot_xmin(pg_current_snapshot())::text as transaction, now() as at`,
  );
  const row = rows[0] as { transaction: string; at: string };
  return { position: { transaction: BigInt(row.transaction), id: 0n }, at: parseDatabaseTime(row.at) };
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

/** Throws ChangesNotKeptError unless the history has everything after the position. */
export async function checkHistoryPosition(db: Database, { transaction, id }: HistoryPosition): Promise<void> {
  const { rows } = await db.execute<{ pruned: boolean; future: boolean }>(sql`
    select exists (
             select from ${historyFloor} where (transaction, history_id) > (${transaction.toString()}::xid8, ${id})
           ) as pruned,
           ${transaction.toString()}::xid8 > pg_snapshot_xmax(pg_current_snapshot()) as future`);
  if (rows[0]?.pruned) throw new ChangesNotKeptError("the changes after this token are no longer kept");
  if (rows[0]?.future)
    throw new ChangesNotKeptError("this token is from another database, or from a later state of this one");
}

/** Returns the first `limit` changes after the position, in order, by the indexes on (transaction, id). */
export async function listMachineChanges(
  db: Database | Transaction,
  after: HistoryPosition,
  limit: number,
): Promise<(MachineChange | IssueChange)[]> {
  const next = sql`(log.transaction, log.id) > (${after.transaction.toString()}::xid8, ${after.id})
         and log.transaction < pg_snapshot_xmin(pg_current_snapshot())
       order by log.transaction, log.id limit ${limit}`;
  // One statement: another one would see what commits in between, and the position would pass over it.
  const { rows } = await db.execute<ChangeColumns>(sql`
    (select log.transaction, log.id, log.machine_id, log.at, log.kind, log.actor, log.detail, null::jsonb as issue
       from ${machineHistory} log where ${next})
    union all
    (select log.transaction, log.id, log.machine_id, log.at,
            case when log.has_begun then 'issue_opened' else 'issue_closed' end, '', '{}'::jsonb, to_jsonb(log)
       from ${issueChange} log where ${next})
     order by transaction, id limit ${limit}`);
  return rows.map(toChange);
}

type ChangeColumns = Readonly<Record<"transaction" | "id" | "machine_id" | "at" | "kind" | "actor", string>> & {
  readonly detail: MachineChange["detail"];
  readonly issue: (IssueColumns & { readonly unseen_at: string | null }) | null;
};

function toChange({
  transaction,
  id,
  machine_id: machineId,
  issue,
  ...row
}: ChangeColumns): MachineChange | IssueChange {
  const change = { position: { transaction: BigInt(transaction), id: BigInt(id) }, at: parseDatabaseTime(row.at) };
  if (issue === null) return { ...change, machineId, kind: row.kind, actor: row.actor, detail: row.detail };
  return {
    ...change,
    kind: row.kind as IssueChange["kind"],
    issue: toIssueRow(issue),
    unseenAt: issue.unseen_at === null ? null : parseDatabaseTime(issue.unseen_at),
  };
}

/**
 * Returns the machines whose agent fell silent or came back since `after`, by the database's clock, and the database's
 * time. Reads agent_heartbeat from end to end: an index would cost every heartbeat more than an occasional scan does.
 */
export async function listSilenceChanges(db: Database, after: Date): Promise<{ changes: QuietChange[]; at: Date }> {
  const { rows } = await db.execute<{ machine_id: string | null; since: string; at: string }>(sql`
    select now() as at, changed.machine_id, changed.since
      from (values (1)) as one
      left join (
        select state.machine_id, state.since
          from ${agentHeartbeat} heartbeat join ${machineState} state on state.machine_id = heartbeat.machine_id
         where (heartbeat.quiet_until between ${after} and now() or heartbeat.alive_since >= ${after})
           and state.state in ('stale', 'heartbeating') and state.since >= ${after}
      ) changed on true`);
  const changes = rows.flatMap(({ machine_id: machineId, since }) =>
    machineId === null ? [] : [{ machineId, kind: "state_changed" as const, at: parseDatabaseTime(since) }],
  );
  return { changes, at: rows[0] === undefined ? after : parseDatabaseTime(rows[0].at) };
}

/** Maximum number of new enrolments that are read at once. Beyond it, strangers flood the server. */
const maxNewEnrolments = 1000;

/**
 * Returns the open installations that made progress or became overdue since `after`, by the partial index of the open
 * ones, and the newest enrolments that wait and came since then, by the index on (first_seen_at, id).
 */
export async function listProgressChanges(db: Database, after: Date): Promise<QuietChange[]> {
  const { rows } = await db.execute<{ id: string; kind: QuietChange["kind"]; at: string }>(sql`
    select request.machine_id as id,
           case state.state when 'overdue' then 'state_changed' else 'installation_progressed' end as kind,
           case state.state when 'overdue' then state.since else request.progress_at end as at
      from ${osInstallationRequest} request
      join ${installationState} state on state.machine_id = request.machine_id and state.generation = request.generation
     where ${sql.raw(isOpen("request"))}
       and (request.progress_at >= ${after} or (state.state = 'overdue' and state.since >= ${after}))
    union all
    (select id, 'enrolment_waiting', first_seen_at
       from ${machineEnrolment}
      where first_seen_at >= ${after} and state = 'waiting'
      order by first_seen_at desc, id desc
      limit ${maxNewEnrolments})`);
  return rows.map(({ id: machineId, kind, at }) => ({ machineId, kind, at: parseDatabaseTime(at) }));
}
