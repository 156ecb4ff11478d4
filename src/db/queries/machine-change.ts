/**
 * Reads what changed since a position, for watchers and receivers: the history, and the issues that began or ended.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import {
  agentHeartbeat,
  installationState,
  issueChange,
  machineEnrolment,
  machineHistory,
  machineState,
  osInstallationRequest,
} from "../schema/index.ts";
import { isOpen } from "../schema/os-installation-request.ts";
import { assertLineage, type HistoryPosition, type Lineage, lineageHere, oldestWriter } from "./history-position.ts";
import { type IssueColumns, type IssueRow, toIssueRow } from "./issue-list.ts";

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

/** Returns the first `limit` changes after the position, in order, by the indexes on (transaction, id). */
export async function listMachineChanges(
  db: Database | Transaction,
  after: HistoryPosition,
  limit: number,
): Promise<(MachineChange | IssueChange)[]> {
  const { rows } = await db.execute<ChangeColumns>(selectChanges(after, limit));
  return rows.map(toChange);
}

/**
 * Returns the same as `listMachineChanges`. Throws ChangesNotKeptError if the history, as these changes were read, is
 * not of this lineage.
 */
export async function followMachineChanges(
  db: Database,
  after: HistoryPosition & { readonly lineage: Lineage },
  limit: number,
): Promise<(MachineChange | IssueChange)[]> {
  // One statement: another one could be sent to another server.
  const { rows } = await db.execute<ChangeColumns & { readonly lineage: string; readonly has_change: boolean }>(sql`
    select here.lineage, changes.transaction is not null as has_change, changes.*
      from (select ${lineageHere} as lineage) here
      left join (${selectChanges(after, limit)}) changes on true
     order by changes.transaction, changes.id`);
  assertLineage(rows[0]?.lineage, after.lineage);
  return rows.filter((row) => row.has_change).map(toChange);
}

function selectChanges(after: HistoryPosition, limit: number): SQL {
  const next = sql`(log.transaction, log.id) > (${after.transaction.toString()}::xid8, ${after.id})
         and log.transaction < (select transaction from oldest)
       order by log.transaction, log.id limit ${limit}`;
  // One statement: another one would see what commits in between, and the position would pass over it.
  return sql`
    with oldest as materialized (select ${oldestWriter} as transaction)
    (select log.transaction, log.id, log.machine_id, log.at, log.kind, log.actor, log.detail, null::jsonb as issue
       from ${machineHistory} log where ${next})
    union all
    (select log.transaction, log.id, log.machine_id, log.at,
            case when log.has_begun then 'issue_opened' else 'issue_closed' end, '', '{}'::jsonb, to_jsonb(log)
       from ${issueChange} log where ${next})
     order by transaction, id limit ${limit}`;
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

/** Machines whose agent fell silent or came back, the earliest first. */
export interface SilenceChanges {
  readonly changes: readonly QuietChange[];
  /** The database's time. */
  readonly at: Date;
  /** Whether these are all; otherwise as many follow at the time of the last one, or later. */
  readonly isComplete: boolean;
}

/**
 * Returns the machines whose agent fell silent or came back since `after`, by the database's clock, up to `limit` of
 * them. Reads agent_heartbeat from end to end: an index would cost every heartbeat more than an occasional scan does.
 */
export async function listSilenceChanges(db: Database, after: Date, limit: number): Promise<SilenceChanges> {
  const { rows } = await db.execute<{ machine_id: string | null; since: string; at: string }>(sql`
    select now() as at, changed.machine_id, changed.since
      from (values (1)) as one
      left join (
        select state.machine_id, state.since
          from ${agentHeartbeat} heartbeat join ${machineState} state on state.machine_id = heartbeat.machine_id
         where (heartbeat.quiet_until between ${after} and now() or heartbeat.alive_since >= ${after})
           and state.state in ('stale', 'heartbeating') and state.since >= ${after}
         order by state.since limit ${limit}
      ) changed on true
     order by changed.since`);
  const changes = rows.flatMap(({ machine_id: machineId, since }) =>
    machineId === null ? [] : [{ machineId, kind: "state_changed" as const, at: parseDatabaseTime(since) }],
  );
  const at = rows[0] === undefined ? after : parseDatabaseTime(rows[0].at);
  return { changes, at, isComplete: changes.length < limit };
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
