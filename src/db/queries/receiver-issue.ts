/** Finds the issues that began or ended since receivers were last told. */
import { sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { machineIssue, receiverDispatch, receiverIssue } from "../schema/index.ts";
import { noMachine } from "../schema/receiver-delivery.ts";
import type { IssueRow } from "./issue-list.ts";

/** An issue that began or ended. */
export interface IssueChange extends IssueRow {
  readonly hasBegun: boolean;
}

/** What changed. */
export interface IssueChanges {
  readonly changes: readonly IssueChange[];
  /** Time of this comparison, by the database's clock. */
  readonly at: Date;
  /** Time of the one before; null for the first. */
  readonly comparedAt: Date | null;
}

/**
 * Compares the view of issues with what receivers were told, notes up to `limit` differences as told, and returns them.
 * The transaction must have locked the dispatcher's row. It reads the whole view.
 */
export async function takeIssueChanges(tx: Transaction, limit: number): Promise<IssueChanges> {
  const { rows: times } = await tx.execute<{ at: string; compared_at: string | null }>(sql`
    select now() as at, issues_compared_at as compared_at from ${receiverDispatch}`);
  const { rows } = await tx.execute<ChangedRow>(sql`
    with changed as materialized (
      select coalesce(issue.machine_id, told.machine_id) as machine_id, coalesce(issue.type, told.type) as type,
             coalesce(issue.target, told.target) as target, coalesce(issue.severity, told.severity) as severity,
             coalesce(issue.since, told.since) as since, coalesce(issue.detail, told.detail) as detail,
             told.machine_id is null as has_begun
        from (select coalesce(machine_id, ${noMachine}::uuid) as machine_id, type, target, severity, since, detail
                from ${machineIssue}) issue
        full join ${receiverIssue} told
          on told.machine_id = issue.machine_id and told.type = issue.type and told.target = issue.target
       where told.machine_id is null or issue.machine_id is null
       order by since, machine_id, type, target
       limit ${limit}
    ), noted as (
      insert into ${receiverIssue} (machine_id, type, target, severity, since, detail)
      select machine_id, type, target, severity, since, detail from changed where has_begun
      on conflict do nothing
    ), forgotten as (
      delete from ${receiverIssue} told using changed
       where not changed.has_begun and told.machine_id = changed.machine_id and told.type = changed.type
         and told.target = changed.target
    )
    select * from changed order by since, machine_id, type, target`);
  // Until all are noted, the comparison is not over.
  if (rows.length < limit) await tx.execute(sql`update ${receiverDispatch} set issues_compared_at = now()`);
  const [time] = times;
  return {
    changes: rows.map(toChange),
    at: parseDatabaseTime(time?.at ?? ""),
    comparedAt: time?.compared_at == null ? null : parseDatabaseTime(time.compared_at),
  };
}

type ChangedRow = {
  readonly machine_id: string;
  readonly type: IssueRow["type"];
  readonly target: string;
  readonly severity: IssueRow["severity"];
  readonly since: string;
  readonly detail: string;
  readonly has_begun: boolean;
};

function toChange({ machine_id: machineId, since, has_begun: hasBegun, ...row }: ChangedRow): IssueChange {
  return { ...row, machineId: machineId === noMachine ? null : machineId, since: parseDatabaseTime(since), hasBegun };
}

/** Forgets what receivers were told, so that the next comparison is a first one. */
export async function forgetIssues(tx: Transaction): Promise<void> {
  await tx.execute(sql`delete from ${receiverIssue}`);
  await tx.execute(sql`update ${receiverDispatch} set issues_compared_at = null where issues_compared_at is not null`);
}
