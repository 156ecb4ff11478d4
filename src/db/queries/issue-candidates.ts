/**
 * Finds the machines that may have an issue of some type, in the order of their ids, by the index that its definition
 * names. The view machine_issue then decides about each of them.
 */
import { type SQL, sql } from "drizzle-orm";
import type { IssueType } from "../../contract/issue-types.ts";
import { type Candidates, getIssueDefinition } from "../schema/issue-definition.ts";

/** Range of ids: from `from` on, after `after` and up to `through`, where given. */
export interface IdRange {
  readonly from?: string | undefined;
  readonly after?: string | undefined;
  readonly through?: string | undefined;
}

/**
 * Returns the condition on machine_issue that an issue is of one of these types. It is made of literals, so that
 * PostgreSQL plans only the branches of the view that it leaves.
 */
export function isOfTypes(types: readonly IssueType[]): SQL {
  const decidedByState = types.map((type) => "state" in getIssueDefinition(type));
  const ofState = new Set(decidedByState).size === 1 ? ` and of_state = ${decidedByState[0]}` : "";
  return sql.raw(`type in (${types.map((type) => `'${type}'`).join(", ")})${ofState}`);
}

/** Selects the ids of the machines that may have an issue of one of the types, in order, as a column named "id". */
export function walkIssueCandidates(types: readonly IssueType[], range: IdRange, limit?: number): SQL {
  const walks = types.flatMap((type) => {
    const { candidates } = getIssueDefinition(type);
    return candidates === undefined ? [] : [sql`(${walkCandidates(candidates, range, { limit })})`];
  });
  if (walks.length === 0) return sql`select null::uuid as id where false`;
  const end = limit === undefined ? sql`` : sql` limit ${limit}`;
  return sql`select id from (${sql.join(walks, sql` union `)}) as walked order by id${end}`;
}

/** Options of `walkCandidates`. */
interface WalkOptions {
  readonly limit?: number | undefined;
  /** Whether to leave out the rows that do not pass the candidates' test. Default: false. */
  readonly isTested?: boolean;
}

/** Selects the ids of the candidates in the range, each once and in order, as a column named "id". */
export function walkCandidates(
  { table, indexed, test }: Candidates,
  { from, after, through }: IdRange,
  { limit, isTested = false }: WalkOptions = {},
): SQL {
  const id = sql.raw(table === "machine" ? "candidate.id" : "candidate.machine_id");
  const conditions = [
    indexed === undefined ? undefined : sql.raw(indexed),
    from === undefined ? undefined : sql`${id} >= ${from}`,
    after === undefined ? undefined : sql`${id} > ${after}`,
    through === undefined ? undefined : sql`${id} <= ${through}`,
    isTested && test !== undefined ? sql.raw(test) : undefined,
  ].filter((each) => each !== undefined);
  const where = conditions.length === 0 ? sql`` : sql` where ${sql.join(conditions, sql` and `)}`;
  const end = limit === undefined ? sql`` : sql` limit ${limit}`;
  return sql`select distinct ${id} as id from ${sql.raw(table)} candidate${where} order by id${end}`;
}
