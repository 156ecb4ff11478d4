/**
 * Finds issues that began or ended, by comparing the view of issues with those that the last comparison saw.
 *
 * Issues also begin and end as time passes, which no change records, so only comparing finds them all. A round reads
 * the fleet in ranges of machines, without a lock and without the number of a transaction, which watchers would wait
 * for. What differs is then noted in short transactions. A lease lets one process at a time do that.
 */
import { type SQL, sql } from "drizzle-orm";
import { issueTypeNames } from "../../contract/issue-types.ts";
import type { Database, Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { issueChange, issueComparison, machine, machineIssue, seenIssue } from "../schema/index.ts";
import { getIssueDefinition } from "../schema/issue-definition.ts";
import { noMachine } from "../schema/receiver-delivery.ts";
import { transact } from "../transact.ts";
import { runTransaction } from "../transaction.ts";
import { arrayParameter } from "./array-parameter.ts";
import { prepareCounting } from "./counting.ts";
import { isOfTypes } from "./issue-candidates.ts";
import type { IssueRow } from "./issue-list.ts";

/** The machines whose ids are after `after` and up to `through`; without either, from the first or to the last. */
export interface CompareRange {
  readonly after: string | undefined;
  readonly through: string | undefined;
}

/** An issue that began or ended. */
export interface IssueDifference extends IssueRow {
  readonly hasBegun: boolean;
}

/** What differs in a range. */
interface Differences {
  readonly differences: readonly IssueDifference[];
  /** Time of the comparison, by the database's clock. */
  readonly at: Date;
}

/** How long the lease lasts unless a step renews it: longer than the statements of one range may take together. */
const leaseInterval = sql`interval '40 seconds'`;
const lease = sql`now() + ${leaseInterval}`;

/** Longest pause between two rounds. */
const longestPause = sql`interval '10 minutes'`;

/**
 * The condition that a round may begin or go on. Times that are further ahead than anything here sets them are from
 * before the database's clock was set back, and count as past.
 */
const isFree = sql`(due_at <= now() or due_at > now() + ${longestPause})
         and (held_until is null or held_until < now() or held_until > now() + ${leaseInterval})`;

/** Returns whether a round may begin or go on, unless another process is at it. */
export async function isComparisonDue(db: Database): Promise<boolean> {
  const { rows } = await db.execute<{ due: boolean }>(sql`
    select ${isFree} as due from ${issueComparison}`);
  return rows[0]?.due ?? true;
}

/**
 * Takes the lease, and begins a round if none is under way. Returns after which machine the round goes on, or undefined
 * if none is due or another process has the lease.
 */
export async function beginComparison(db: Database, holder: string): Promise<Pick<CompareRange, "after"> | undefined> {
  return await transact(db, async (tx) => {
    await tx.insert(issueComparison).values({}).onConflictDoNothing();
    const { rows } = await tx.execute<{ through: string | null }>(sql`
      update ${issueComparison} set holder = ${holder}, held_until = ${lease}, began_at = coalesce(began_at, now())
       where ${isFree}
      returning through`);
    return rows[0] === undefined ? undefined : { after: rows[0].through ?? undefined };
  });
}

/** Returns the end of the range of `limit` machines after `after`; without `through` if there are no more. */
export async function findCompareRange(db: Database, after: string | undefined, limit: number): Promise<CompareRange> {
  const start = after === undefined ? sql`true` : sql`id > ${after}`;
  const { rows } = await db.execute<{ id: string }>(
    sql`select id from ${machine} where ${start} order by id offset ${limit - 1} limit 1`,
  );
  return { after, through: rows[0]?.id };
}

const serverTypes = issueTypeNames.filter((type) => getIssueDefinition(type).candidates === undefined);

/** Returns up to `limit` differences in the range, those that ended first. Reads only. */
export async function listIssueDifferences(db: Database, range: CompareRange, limit: number): Promise<Differences> {
  const ofServer =
    range.after === undefined
      ? sql`union all select ${noMachine}::uuid, type, target, severity, since, detail
              from ${machineIssue} where machine_id is null and ${isOfTypes(serverTypes)}`
      : sql``;
  return await runTransaction(db, "isolation level read committed read only", async (tx) => {
    const { rows: times } = await tx.execute<{ at: string }>(prepareCounting);
    const { rows } = await tx.execute<DifferenceRow>(sql`
      select coalesce(issue.machine_id, seen.machine_id) as machine_id, coalesce(issue.type, seen.type) as type,
             coalesce(issue.target, seen.target) as target, coalesce(issue.severity, seen.severity) as severity,
             coalesce(issue.since, seen.since) as since, coalesce(issue.detail, seen.detail) as detail,
             seen.machine_id is null as has_begun
        from (select machine_id, type, target, severity, since, detail from ${machineIssue}
               where ${isIn(range)} ${ofServer}) issue
        full join (select * from ${seenIssue} where ${isIn(range)}) seen
          on seen.machine_id = issue.machine_id and seen.type = issue.type and seen.target = issue.target
         and seen.severity = issue.severity
       where seen.machine_id is null or issue.machine_id is null
       order by has_begun, since, machine_id, type, target
       limit ${limit}`);
    return { differences: rows.map(toDifference), at: parseDatabaseTime(times[0]?.at ?? "") };
  });
}

function isIn({ after, through }: CompareRange): SQL {
  const tests = [
    sql`machine_id is not null`,
    after === undefined ? undefined : sql`machine_id > ${after}`,
    through === undefined ? undefined : sql`machine_id <= ${through}`,
  ].filter((test) => test !== undefined);
  return sql.join(tests, sql` and `);
}

type DifferenceRow = {
  readonly machine_id: string;
  readonly type: IssueRow["type"];
  readonly target: string;
  readonly severity: IssueRow["severity"];
  readonly since: string;
  readonly detail: string;
  readonly has_begun: boolean;
};

function toDifference({ machine_id: id, since, has_begun: hasBegun, ...row }: DifferenceRow): IssueDifference {
  return { ...row, machineId: id === noMachine ? null : id, since: parseDatabaseTime(since), hasBegun };
}

/**
 * Notes differences as seen and records them as changes, each once. The first round of a database records only what
 * began after it. Returns false, and does nothing, if another process has taken the lease.
 */
export async function noteIssueDifferences(
  db: Database,
  holder: string,
  { differences, at }: Differences,
): Promise<boolean> {
  return await transact(db, async (tx) => {
    const round = await renewLease(tx, holder);
    if (round === undefined) return false;
    const column = (of: (difference: IssueDifference) => string, type: Parameters<typeof arrayParameter>[1]) =>
      arrayParameter(differences.map(of), type);
    const given = sql`unnest(
      ${column(({ machineId }) => machineId ?? noMachine, "uuid")}, ${column(({ type }) => type, "text")},
      ${column(({ target }) => target, "text")}, ${column(({ severity }) => severity, "text")},
      ${column(({ since }) => since.toISOString(), "timestamptz")}, ${column(({ detail }) => detail, "text")},
      ${column(({ hasBegun }) => String(hasBegun), "boolean")}) with ordinality`;
    await tx.execute(sql`
      with given as materialized (
        select * from ${given} as given (machine_id, type, target, severity, since, detail, has_begun, position)
      ), begun as (
        insert into ${seenIssue} (machine_id, type, target, severity, since, detail)
        select machine_id, type, target, severity, since, detail from given where has_begun
        on conflict do nothing
        returning machine_id, type, target, severity
      ), ended as (
        delete from ${seenIssue} seen using given
         where not given.has_begun and seen.machine_id = given.machine_id and seen.type = given.type
           and seen.target = given.target and seen.severity = given.severity
        returning seen.machine_id, seen.type, seen.target, seen.severity
      )
      insert into ${issueChange} (machine_id, at, unseen_at, has_begun, type, severity, since, target, detail)
      select nullif(machine_id, ${noMachine}), ${at.toISOString()}::timestamptz, ${round.comparedAt}::timestamptz, has_begun,
             type, severity, since, target, detail
        from given join (select * from begun union all select * from ended) noted
       using (machine_id, type, target, severity)
       where ${round.comparedAt}::timestamptz is not null or since >= ${round.beganAt}::timestamptz
       order by position`);
    return true;
  });
}

/** Notes that the round is done up to `through`. Returns false if another process has taken the lease. */
export async function moveComparison(db: Database, holder: string, through: string): Promise<boolean> {
  return await transact(db, async (tx) => {
    if ((await renewLease(tx, holder)) === undefined) return false;
    await tx.execute(sql`update ${issueComparison} set through = ${through}`);
    return true;
  });
}

/** Ends the round, and gives the lease back. The next one may begin `pauseMs` later, ten minutes at the most. */
export async function endComparison(db: Database, holder: string, pauseMs: number): Promise<void> {
  await db.execute(sql`
    update ${issueComparison}
       set holder = null, held_until = null, compared_at = began_at, began_at = null, through = null,
           due_at = now() + least(make_interval(secs => ${pauseMs / 1000}), ${longestPause})
     where holder = ${holder} and held_until > now()`);
}

/** Gives the lease back, so that another process goes on with the round at once. */
export async function releaseComparison(db: Database, holder: string): Promise<void> {
  await db.execute(sql`update ${issueComparison} set holder = null, held_until = null where holder = ${holder}`);
}

/** Renews the lease, locks the row until the transaction ends, and returns when this round and the last one began. */
async function renewLease(
  tx: Transaction,
  holder: string,
): Promise<{ readonly beganAt: string; readonly comparedAt: string | null } | undefined> {
  const { rows } = await tx.execute<{ began_at: string; compared_at: string | null }>(sql`
    update ${issueComparison} set held_until = ${lease} where holder = ${holder} and held_until > now()
    returning began_at, compared_at`);
  const [row] = rows;
  return row && { beganAt: row.began_at, comparedAt: row.compared_at };
}
