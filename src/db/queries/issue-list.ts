/**
 * Lists issues in pages: the most urgent severity first, then by type, machine and part.
 *
 * A page walks type after type. For each, it takes candidates from the index that the type's definition names, in the
 * order of their ids, and looks each of them up in the view machine_issue, until the page is full. Few types have
 * candidates in a healthy fleet, and one statement finds out which. Types for which every machine is a candidate come
 * last in their severity, and a page walks a bounded number of machines, so it may be short although more follow.
 */
import { type SQL, sql } from "drizzle-orm";
import {
  type IssueSeverity,
  type IssueType,
  issueSeverities,
  issueTypeNames,
  issueTypes,
} from "../../contract/issue-types.ts";
import type { Database, Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { machineIssue } from "../schema/index.ts";
import { type Candidates, getIssueDefinition } from "../schema/issue-definition.ts";
import { readSnapshot } from "../transaction.ts";
import { arrayParameter } from "./array-parameter.ts";
import { type IdRange, isOfTypes, walkCandidates } from "./issue-candidates.ts";
import { listTests, type MachineFilter } from "./machine-filter.ts";

/** One issue. */
export interface IssueRow {
  /** Null for an issue of the server. */
  readonly machineId: string | null;
  /** An `IssueType`, or a type of another version of the server: during an upgrade, both note issues. */
  readonly type: string;
  /** An `IssueSeverity`, or a severity of another version. */
  readonly severity: string;
  readonly since: Date;
  /** The part that has the issue; empty for the machine as a whole. */
  readonly target: string;
  readonly detail: string;
}

/** The issues of one type with one severity. */
interface Walk {
  readonly type: IssueType;
  readonly severity: IssueSeverity;
}

/** Where a page continues: after this issue, or after the machine's issues of the type if `target` is undefined. */
export interface IssueKey extends Walk {
  /** Empty for an issue of the server. */
  readonly machineId: string;
  readonly target: string | undefined;
}

/** Options of `listIssues`. */
export interface IssueListOptions {
  /** Absent: issues of all types. */
  readonly types?: readonly IssueType[] | undefined;
  /** Absent: issues of all severities. */
  readonly severities?: readonly IssueSeverity[] | undefined;
  /** Conditions on the machines; an empty filter also lets issues of the server pass. */
  readonly filter: MachineFilter;
  readonly after?: IssueKey | undefined;
  /** Maximum number of issues in the page. */
  readonly limit: number;
}

/** A page of issues, and where the next one continues; `next` is absent after the last page. */
export interface IssuePage {
  readonly issues: IssueRow[];
  readonly next?: IssueKey | undefined;
}

/** Maximum number of rows of one type that a page walks. */
const maxWalked = 4000;

/** Each type with each severity that it can have, in the order of the list. */
export const issueWalks: readonly Walk[] = issueSeverities.flatMap((severity) =>
  issueTypeNames
    .filter((type) => (issueTypes[type].severities as readonly IssueSeverity[]).includes(severity))
    .map((type) => ({ type, severity })),
);

/**
 * Returns whether a page can end at the key: the severity is one that the type can have, and only an issue of the
 * server is without a machine. Another version of the server may have ended pages elsewhere.
 */
export function isPageEnd({ type, severity, machineId, target }: IssueKey): boolean {
  const isOfServer = getIssueDefinition(type).candidates === undefined;
  const isListed = issueWalks.some((walk) => walk.type === type && walk.severity === severity);
  return isListed && (machineId === "") === isOfServer && !(isOfServer && target === undefined);
}

/** Returns one page. It may hold fewer than `limit` issues, or none, while more follow. */
export function listIssues(db: Database, options: IssueListOptions): Promise<IssuePage> {
  const { types, severities, after, limit } = options;
  const wanted = issueWalks.filter(
    ({ type, severity }) => (types?.includes(type) ?? true) && (severities?.includes(severity) ?? true),
  );
  const isBegun = (walk: Walk) => walk.type === after?.type && walk.severity === after.severity;
  const rest = wanted.slice(Math.max(0, wanted.findIndex(isBegun)));
  return readSnapshot(db, async (tx) => {
    // PostgreSQL expects the walks to cost more than they do, and would compile their statements for a second.
    await tx.execute(sql`select set_config('jit', 'off', true)`);
    const issues: IssueRow[] = [];
    let last: IssueKey | undefined;
    for (const walk of await leaveOutEmpty(tx, rest, options)) {
      // One more than the page can use tells whether anything follows.
      const room = limit - issues.length;
      const part = await walkType(tx, walk, { ...options, limit: room + 1 }, isBegun(walk) ? after : undefined);
      const kept = part.issues.slice(0, room);
      issues.push(...kept);
      last = toKey(walk, kept.at(-1)) ?? last;
      if (part.issues.length > room) return { issues, next: last };
      if (part.next !== undefined) return { issues, next: part.next };
    }
    return { issues };
  });
}

function toKey(walk: Walk, issue: IssueRow | undefined): IssueKey | undefined {
  return issue && { ...walk, machineId: issue.machineId ?? "", target: issue.target };
}

/**
 * Leaves out the walks that have no candidates, and issues of the server if the filter names machines. Keeps those that
 * every machine is a candidate for.
 */
async function leaveOutEmpty(tx: Transaction, walks: readonly Walk[], { filter }: IssueListOptions): Promise<Walk[]> {
  const isUnfiltered = Object.values(filter).every((value) => value === undefined);
  const kept = walks.filter(({ type }) => isUnfiltered || getIssueDefinition(type).candidates !== undefined);
  const examined = [...new Set(kept.map(({ type }) => type))].flatMap((type) => {
    const { candidates } = getIssueDefinition(type);
    return candidates === undefined || candidates.table === "machine" ? [] : [{ type, candidates }];
  });
  if (examined.length === 0) return kept;
  // The first one in the order of an index: an EXISTS would read the table where it expects to find one soon.
  const firsts = examined.map(({ candidates }) => walkCandidates(candidates, {}, { limit: 1, isTested: true }));
  const tests = firsts.map((first) => sql`(${first}) is not null`);
  const { rows } = await tx.execute<{ found: boolean[] }>(sql`select array[${sql.join(tests, sql`, `)}] as found`);
  const empty = new Set(examined.filter((_, index) => rows[0]?.found[index] === false).map(({ type }) => type));
  return kept.filter(({ type }) => !empty.has(type));
}

/** Returns the issues of one type after `after`, and where its walk continues if it had to stop before its end. */
async function walkType(
  tx: Transaction,
  walk: Walk,
  { filter, limit }: IssueListOptions,
  after: IssueKey | undefined,
): Promise<IssuePage> {
  const { candidates } = getIssueDefinition(walk.type);
  const isWanted = sql`severity = ${walk.severity} and ${isOfTypes([walk.type])}`;
  if (candidates === undefined) {
    const target = after?.target ?? "";
    const rows = sql`select * from ${machineIssue} where ${isWanted} and machine_id is null and target > ${target}`;
    return { issues: await select(tx, sql`${rows} order by target limit ${limit}`) };
  }
  // The rest of a machine's parts follows in the next page.
  const start = after?.target === undefined ? { after: after?.machineId } : { from: after.machineId };
  const { machineIds } = filter;
  const through = machineIds === undefined ? await findWalkEnd(tx, candidates, start) : undefined;
  const walked =
    machineIds === undefined
      ? walkCandidates(candidates, { ...start, through }, { isTested: true })
      : sql`select id from unnest(${arrayParameter(machineIds, "uuid")}) as named (id) order by id`;
  const issues = await select(
    tx,
    sql`
    select issue.* from (${walked}) as candidate cross join lateral (
      select * from ${machineIssue} where machine_id = candidate.id and ${isWanted} offset 0
    ) issue
     where ${sql.join([isAfter(after), ...listTests(filter)], sql` and `)}
     order by candidate.id, issue.target limit ${limit}`,
  );
  const isCut = through !== undefined && issues.length < limit;
  return { issues, ...(isCut && { next: { ...walk, machineId: through, target: undefined } }) };
}

function isAfter(after: IssueKey | undefined): SQL {
  if (after === undefined) return sql`true`;
  return after.target === undefined
    ? sql`issue.machine_id > ${after.machineId}`
    : sql`(issue.machine_id, issue.target) > (${after.machineId}, ${after.target})`;
}

/**
 * Returns the id up to which a page walks the candidates: the last one of a bounded number of rows, by an index-only
 * scan. Returns undefined if it may walk to the end.
 */
async function findWalkEnd(tx: Transaction, candidates: Candidates, start: IdRange): Promise<string | undefined> {
  const walked = walkCandidates(candidates, start, { limit: maxWalked });
  const { rows } = await tx.execute<{ id: string }>(
    sql`select id from (${walked}) as candidate order by id offset ${maxWalked - 1}`,
  );
  return rows[0]?.id;
}

/** Columns of the view, as PostgreSQL writes them in JSON. */
export type IssueColumns = Omit<IssueRow, "machineId" | "since"> & {
  readonly machine_id: string | null;
  readonly since: string;
};

/** Converts a row of the view. */
export function toIssueRow({ machine_id: machineId, type, severity, since, target, detail }: IssueColumns): IssueRow {
  return { machineId, type, severity, since: parseDatabaseTime(since), target, detail };
}

/** Compares two issues of a machine by their place in the list. Those that it does not know come last. */
export function compareIssues(a: IssueRow, b: IssueRow): number {
  const place = ({ type, severity }: IssueRow) => {
    const index = issueWalks.findIndex((walk) => walk.type === type && walk.severity === severity);
    return index === -1 ? issueWalks.length : index;
  };
  return place(a) - place(b) || (a.target < b.target ? -1 : 1);
}

async function select(tx: Transaction, query: SQL): Promise<IssueRow[]> {
  const { rows } = await tx.execute<IssueColumns & Record<string, unknown>>(query);
  return rows.map(toIssueRow);
}
