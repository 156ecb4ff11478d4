/** Counts the whole fleet, from the view that decides states. */
import { and, eq, isNull, min, sql } from "drizzle-orm";
import type { IssueSeverity, IssueType } from "../../contract/issue-types.ts";
import type { Database, Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { isDuplicated } from "../schema/duplicate-agent.ts";
import { duplicateAgent, issueComparison, machineEnrolment, seenIssue } from "../schema/index.ts";
import { runTransaction } from "../transaction.ts";
import { prepareCounting } from "./counting.ts";
import { type FleetGroup, readFleetGroups } from "./fleet-groups.ts";
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
  /** Issues of every type and severity that there can be, in their list's order; none before they were compared. */
  readonly issues: readonly IssueCount[];
  /** When the last comparison began, by which issues are counted. */
  readonly issuesComparedAt: Date | null;
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
 * Counts all machines by state, provider, location and the labels of the given keys. Throws TooManyGroupsError.
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
      ...(await countSeenIssues(tx)),
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
 * Counts the issues that the last comparison saw: those of the view cost more to count than the rest of the fleet.
 * There are none before the first comparison.
 */
async function countSeenIssues(tx: Transaction): Promise<Pick<FleetCount, "issues" | "issuesComparedAt">> {
  const [comparison] = await tx.select({ comparedAt: issueComparison.comparedAt }).from(issueComparison);
  const issuesComparedAt = comparison?.comparedAt ?? null;
  if (issuesComparedAt === null) return { issues: [], issuesComparedAt };
  const rows = await tx
    .select({ type: seenIssue.type, severity: seenIssue.severity, issues: sql`count(*)`.mapWith(BigInt) })
    .from(seenIssue)
    .groupBy(seenIssue.type, seenIssue.severity);
  const counts = new Map(rows.map(({ type, severity, issues }) => [`${type} ${severity}`, issues]));
  const issues = issueWalks.map((walk) => ({ ...walk, issues: counts.get(`${walk.type} ${walk.severity}`) ?? 0n }));
  return { issues, issuesComparedAt };
}
