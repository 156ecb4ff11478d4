/** Compares enrolments with what is expected of machines. */
import { type SQL, sql } from "drizzle-orm";
import { type IdentifierKind, swapUuidBytes } from "../../contract/identifiers.ts";
import type { Database, Transaction } from "../client.ts";
import { agentStarted, expected, machine, machineEnrolment } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";

/** A machine of which a fact of an enrolment is expected. */
export interface Expectation {
  readonly machineId: string;
  /** Whether no agent of the machine has come: it has no key, and none was ever revoked. */
  readonly isMissing: boolean;
  /** Kinds of the facts that are as expected, and of those that are not. */
  readonly same: readonly IdentifierKind[];
  readonly different: readonly IdentifierKind[];
}

/** Maximum number of machines with one identifier that are looked at. */
const maxPerIdentifier = 10;

/**
 * Returns, by the id of each enrolment, the machines of which one of its identifiers is expected, by the index on
 * these. A UUID whose first three groups are in the other byte order is the same.
 */
export async function findExpectations(
  db: Database | Transaction,
  enrolments: readonly { readonly id: string; readonly identifiers: readonly string[] }[],
): Promise<Map<string, Expectation[]>> {
  const claims = enrolments.flatMap(({ id, identifiers }) => identifiers.map((identifier) => ({ id, identifier })));
  if (claims.length === 0) return new Map();
  const ids = claims.map(({ id }) => id);
  const identifiers = claims.map(({ identifier }) => identifier);
  const { rows } = await db.execute<{ id: string; machine_id: string; identifiers: string[]; is_missing: boolean }>(sql`
    select distinct claim.id, found.machine_id, to_jsonb(found.identifiers) as identifiers,
           ${isMissing(sql`found.machine_id`)} as is_missing
      from unnest(${arrayParameter(ids, "uuid")}, ${arrayParameter(identifiers, "text")}) as claim (id, identifier)
     cross join lateral (
       select machine_id, identifiers from ${expected} found
        where found.identifiers @> array[claim.identifier] order by machine_id limit ${maxPerIdentifier}
     ) found
     order by claim.id, found.machine_id`);
  const claimed = new Map(enrolments.map(({ id, identifiers: own }) => [id, new Set(own)]));
  const found = Map.groupBy(rows, ({ id }) => id);
  return new Map(
    [...found].map(([id, ofOne]) => [
      id,
      ofOne.map((row) => compare(row.machine_id, row.is_missing, row.identifiers, claimed.get(id) ?? new Set())),
    ]),
  );
}

function compare(
  machineId: string,
  isMissing: boolean,
  wanted: readonly string[],
  claimed: ReadonlySet<string>,
): Expectation {
  const same = new Set<IdentifierKind>();
  const different = new Set<IdentifierKind>();
  for (const identifier of wanted) {
    const [kind, value = ""] = identifier.split(":", 2) as [IdentifierKind, string];
    const has = claimed.has(identifier) || (kind === "system_uuid" && claimed.has(`${kind}:${swapUuidBytes(value)}`));
    (has ? same : different).add(kind);
  }
  return { machineId, isMissing, same: [...same], different: [...different] };
}

/**
 * Returns the machine that an enrolment is accepted onto as expected: the only one of which a fact of it is expected,
 * if all of these facts are as expected and no agent of the machine has come.
 */
export function findExpectedMachine(expectations: readonly Expectation[]): string | undefined {
  const [only, ...others] = expectations;
  if (only === undefined || others.length > 0 || only.different.length > 0 || !only.isMissing) return undefined;
  return only.machineId;
}

/** Returns the SQL condition that no agent of a machine with the tag Expected has come. */
export function isMissing(machineId: SQL): SQL {
  return sql`(not exists (select from ${agentStarted} agent where agent.machine_id = ${machineId})
    and exists (select from ${machine} known where known.id = ${machineId} and known.agent_revoked_at is null))`;
}

/**
 * Returns the SQL condition that a row of machine_enrolment is expected of a machine: it has one spelling of each fact.
 */
export function isExpected(): SQL {
  const { identifiers } = machineEnrolment;
  return sql`exists (
    select from ${expected} wanted
     where wanted.identifiers && ${identifiers}
       and (select count(*) from unnest(wanted.identifiers) as fact where fact = any(${identifiers})) = wanted.facts)`;
}
