/** Counts the whole fleet, from the view that decides states. */
import { and, eq, isNull, min, sql } from "drizzle-orm";
import { type IssueSeverity, type IssueType, issueTypeNames, issueTypes } from "../../contract/issue-types.ts";
import type { Database, Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { isDuplicated } from "../schema/duplicate-agent.ts";
import { duplicateAgent, machineEnrolment, machineIssue } from "../schema/index.ts";
import { getIssueDefinition } from "../schema/machine-issue.ts";
import { runTransaction } from "../transaction.ts";
import { type FleetGroup, readFleetGroups } from "./fleet-groups.ts";
import { isOfTypes, walkCandidates } from "./issue-candidates.ts";
import { issueWalks } from "./issue-list.ts";

/** The groups that have machines, in no order, and when they were counted by the database's clock. */
export interface FleetCount {
  readonly countedAt: Date;
  readonly groups: readonly FleetGroup[];
  /** Machines whose id and key are used by two machines. */
  readonly duplicateAgents: bigint;
  /** Agents without a machine that wait to be let in. */
  readonly waitingEnrolments: bigint;
  /** When the agent that has waited longest first described its machine; null if none waits. */
  readonly oldestWaitingAt: Date | null;
  /** Issues of every type and severity that there can be, in the order of their list. */
  readonly issues: readonly IssueCount[];
}

/** Number of the issues of one type and severity. */
export interface IssueCount {
  readonly type: IssueType;
  readonly severity: IssueSeverity;
  readonly issues: bigint;
}

/** Whether an enrolment waits. Approved ones have a machine, and are not in the index of the others. */
const isWaiting = and(isNull(machineEnrolment.machineId), eq(machineEnrolment.state, "waiting"));

/**
 * Counts all machines by state, provider, location and the labels of the given keys. Throws TooManyGroupsError. Indexes
 * return every table in the order of the machines' ids, so PostgreSQL merges them as it reads. That takes a third of
 * the time of hashing and no memory, but the planner would not choose it. One process of PostgreSQL does it, so that
 * the other cores stay free for heartbeats.
 */
export function countFleet(db: Database, labelKeys: readonly string[] = []): Promise<FleetCount> {
  return runTransaction(db, "isolation level read committed read only", async (tx) => {
    const { rows } = await tx.execute<{ at: string }>(prepareCounting);
    const countedAt = parseDatabaseTime(rows[0]?.at ?? "");
    const groups = await readFleetGroups(tx, labelKeys, countedAt);
    return {
      countedAt,
      groups,
      duplicateAgents: BigInt(await tx.$count(duplicateAgent, sql.raw(isDuplicated("duplicate_agent")))),
      issues: countIssues(groups, await countOtherIssues(tx)),
      ...(await countWaiting(tx)),
    };
  });
}

/** Counts the agents that wait, by the index on the rows without a machine, of which there are 10,000 at most. */
async function countWaiting(tx: Transaction): Promise<Pick<FleetCount, "waitingEnrolments" | "oldestWaitingAt">> {
  const [counted] = await tx
    .select({ waitingEnrolments: sql`count(*)`.mapWith(BigInt), oldestWaitingAt: min(machineEnrolment.firstSeenAt) })
    .from(machineEnrolment)
    .where(isWaiting);
  return { waitingEnrolments: 0n, oldestWaitingAt: null, ...counted };
}

/**
 * Settings for the rest of the transaction. work_mem covers what the planner expects groups to need, which is more than
 * the few real ones take. @public
 */
export const prepareCounting = sql`
select now() as at, set_config('enable_hashjoin', 'off', true), set_config('work_mem', '32MB', true),
       set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)`;

/**
 * Types that a machine has as long as it is in a state. Their numbers follow from those of the machines in each state.
 */
const promptIssues = issueTypeNames.flatMap((type) => {
  const definition = getIssueDefinition(type);
  if (!("state" in definition) || definition.state === undefined || definition.minAge !== undefined) return [];
  return [{ type, state: definition.state }];
});

/**
 * Counts the issues of other types, by type and severity. For those that a state becomes by lasting, it looks the
 * candidates up one by one: the time since which a machine has been in its state is in no index that the count of the
 * groups reads.
 */
async function countOtherIssues(tx: Transaction): Promise<readonly IssueCount[]> {
  const counts = { type: machineIssue.type, severity: machineIssue.severity, issues: sql`count(*)`.mapWith(BigInt) };
  const own = await tx
    .select(counts)
    .from(machineIssue)
    .where(eq(machineIssue.ofState, false))
    .groupBy(machineIssue.type, machineIssue.severity);
  const late: IssueCount[] = [];
  for (const type of issueTypeNames) {
    const { candidates, minAge } = { minAge: undefined, ...getIssueDefinition(type) };
    if (candidates === undefined || minAge === undefined) continue;
    const { rows } = await tx.execute<{ issues: string }>(sql`
      select count(*)::text as issues
        from (${walkCandidates(candidates, {}, { isTested: true })}) as candidate
       cross join lateral (
         select from ${machineIssue} where machine_id = candidate.id and ${isOfTypes([type])} offset 0
       ) issue`);
    late.push({ type, severity: issueTypes[type].severities[0], issues: BigInt(rows[0]?.issues ?? 0) });
  }
  return [...own, ...late];
}

/** Combines the issues that states decide with others. */
function countIssues(groups: readonly FleetGroup[], others: readonly IssueCount[]): IssueCount[] {
  const counts = new Map(others.map(({ type, severity, issues }) => [`${type} ${severity}`, issues]));
  for (const { type, state } of promptIssues) {
    const affected = groups.filter((group) => group.state === state);
    const issues = affected.reduce((sum, { machines, mutedMachines }) => sum + machines - mutedMachines, 0n);
    counts.set(`${type} ${issueTypes[type].severities[0]}`, issues);
  }
  const overdue = groups.reduce((sum, { stateOverdueMachines }) => sum + stateOverdueMachines, 0n);
  counts.set(`state_overdue ${issueTypes.state_overdue.severities[0]}`, overdue);
  return issueWalks.map((walk) => ({ ...walk, issues: counts.get(`${walk.type} ${walk.severity}`) ?? 0n }));
}
