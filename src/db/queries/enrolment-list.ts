/** Reads enrolments for operators, with the machines and other enrolments that they resemble. */
import { and, desc, eq, getTableColumns, inArray, type SQL, sql } from "drizzle-orm";
import { swapUuidBytes } from "../../contract/identifiers.ts";
import type { Database, Transaction } from "../client.ts";
import { agentStarted, expected, machineEnrolment, machineIdentifier } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";
import { isExpected } from "./expectation.ts";

/** An enrolment as it is stored. */
export type EnrolmentRow = typeof machineEnrolment.$inferSelect;

/** An enrolment without the agent's report. */
export type EnrolmentOverview = Omit<EnrolmentRow, "report">;

/** Conditions on enrolments, all of which must hold. */
export interface EnrolmentFilter {
  /** Any of these states. */
  readonly states?: readonly EnrolmentRow["state"][] | undefined;
  /** Any of these ids; UUIDs in lower case. */
  readonly enrolmentIds?: readonly string[] | undefined;
  readonly address?: string | undefined;
  readonly serialNumber?: string | undefined;
  readonly manufacturer?: string | undefined;
  readonly product?: string | undefined;
  /** Whether what it describes is expected of a machine. */
  readonly isExpected?: boolean | undefined;
  /** The agent first described this machine at least this long ago. */
  readonly minAgeSeconds?: number | undefined;
}

/** Position in a list of enrolments, newest first. */
export interface EnrolmentKey {
  /** Microseconds since the epoch. */
  readonly firstSeenAt: bigint;
  readonly id: string;
}

const { report: _, ...overviewColumns } = getTableColumns(machineEnrolment);

/**
 * Returns up to `limit` enrolments after `after` that pass the filter, newest first, by the index on (first_seen_at,
 * id), each with its key.
 */
export async function listEnrolments(
  db: Database,
  filter: EnrolmentFilter,
  { after, limit }: { readonly after: EnrolmentKey | undefined; readonly limit: number },
): Promise<{ readonly enrolment: EnrolmentOverview; readonly key: EnrolmentKey }[]> {
  const { firstSeenAt, id } = machineEnrolment;
  const rows = await db
    .select({
      enrolment: overviewColumns,
      microseconds: sql<string>`(extract(epoch from ${firstSeenAt}) * 1000000)::bigint::text`,
    })
    .from(machineEnrolment)
    .where(
      and(
        ...listTests(filter),
        after &&
          sql`(${firstSeenAt}, ${id}) < ('epoch'::timestamptz + ${after.firstSeenAt}::bigint * interval '1 microsecond', ${after.id}::uuid)`,
      ),
    )
    .orderBy(desc(firstSeenAt), desc(id))
    .limit(limit);
  return rows.map(({ enrolment, microseconds }) => ({
    enrolment,
    key: { firstSeenAt: BigInt(microseconds), id: enrolment.id },
  }));
}

function listTests(filter: EnrolmentFilter): SQL[] {
  const { states, enrolmentIds, address, serialNumber, manufacturer, product, minAgeSeconds } = filter;
  const row = machineEnrolment;
  return [
    states && inArray(row.state, [...states]),
    enrolmentIds && sql`${row.id} = any(${arrayParameter(enrolmentIds, "uuid")})`,
    address === undefined ? undefined : eq(row.address, address),
    serialNumber === undefined ? undefined : sql`lower(${row.serialNumber}) = lower(${serialNumber})`,
    manufacturer === undefined ? undefined : eq(row.manufacturer, manufacturer),
    product === undefined ? undefined : eq(row.product, product),
    filter.isExpected === undefined ? undefined : filter.isExpected ? isExpected() : sql`not ${isExpected()}`,
    minAgeSeconds === undefined
      ? undefined
      : sql`${row.firstSeenAt} <= now() - make_interval(secs => ${minAgeSeconds})`,
  ].filter((test) => test !== undefined);
}

/** Returns those of the enrolments that exist, in no order. */
export async function findEnrolments(db: Database | Transaction, ids: readonly string[]): Promise<EnrolmentOverview[]> {
  if (ids.length === 0) return [];
  return await db
    .select(overviewColumns)
    .from(machineEnrolment)
    .where(sql`${machineEnrolment.id} = any(${arrayParameter(ids, "uuid")})`);
}

/** Returns the enrolment with the agent's report, if it exists. */
export async function findEnrolment(db: Database | Transaction, id: string): Promise<EnrolmentRow | undefined> {
  const [row] = await db.select().from(machineEnrolment).where(eq(machineEnrolment.id, id));
  return row;
}

/** Kinds of identifiers that should be one machine's alone. */
type IdentifierKind = "serial_number" | "system_uuid" | "mac";

/** Another machine, or another agent that waits, with identifiers of an enrolment. */
export interface Lookalike {
  /** Null for an agent that waits. */
  readonly machineId: string | null;
  /** The enrolment of the agent, or the one by which the machine's agent came; null for any other machine. */
  readonly enrolmentId: string | null;
  readonly kinds: readonly IdentifierKind[];
}

/** Maximum number of lookalikes with one identifier that are looked at. */
const maxPerIdentifier = 10;

/** A row of the query of lookalikes. */
interface Resemblance extends Record<string, unknown> {
  readonly id: string;
  readonly kind: IdentifierKind;
  readonly machine_id: string | null;
  readonly enrolment_id: string | null;
}

/**
 * Returns, by the id of each enrolment, the machines and other undecided enrolments that have one of its identifiers.
 * A UUID whose first three groups are in the other byte order is the same. A machine is known by its hardware report,
 * by what is expected of it, and until its first report by the enrolment of its agent. However many agents wait with
 * one identifier, they keep no machine out of the answer. Looks each identifier up by the indexes on them.
 */
export async function findLookalikes(
  db: Database | Transaction,
  enrolments: readonly Pick<EnrolmentOverview, "id" | "machineId" | "identifiers">[],
): Promise<Map<string, Lookalike[]>> {
  const claims = enrolments.flatMap(({ id, machineId, identifiers }) =>
    identifiers.flatMap(spell).map((claim) => ({ id, machineId, ...claim })),
  );
  if (claims.length === 0) return new Map();
  const { rows } = await db.execute<Resemblance>(sql`
    with claim as materialized (
      select * from unnest(
        ${arrayParameter(
          claims.map((claim) => claim.id),
          "uuid",
        )},
        ${arrayParameter(
          claims.map((claim) => claim.machineId),
          "uuid",
        )},
        ${arrayParameter(
          claims.map((claim) => claim.kind),
          "text",
        )},
        ${arrayParameter(
          claims.map((claim) => claim.value),
          "text",
        )}
      ) as claim (id, own_machine_id, kind, value)
    )
    select claim.id, kind, held.machine_id, null::uuid as enrolment_id
      from claim cross join lateral (
        select machine_id from ${machineIdentifier} held
         where held.value = claim.value and held.kind = claim.kind and held.gone_at is null
           and held.machine_id is distinct from claim.own_machine_id
         order by machine_id limit ${maxPerIdentifier}
      ) held
    union all
    select claim.id, kind, held.machine_id, null::uuid
      from claim cross join lateral (
        select machine_id from ${expected} held
         where held.identifiers @> array[claim.kind || ':' || claim.value]
           and held.machine_id is distinct from claim.own_machine_id
         order by machine_id limit ${maxPerIdentifier}
      ) held
    union all
    select claim.id, kind, other.machine_id, other.id
      from claim cross join lateral (
        select id, machine_id from ${machineEnrolment} other
         where other.identifiers @> array[claim.kind || ':' || claim.value]
           and other.id <> claim.id and other.state <> 'rejected'
         order by machine_id nulls last, id limit ${maxPerIdentifier}
      ) other`);
  return collect(rows);
}

/** Returns an identifier as "kind:value" in every form in which others may have it. */
function spell(identifier: string): { kind: string; value: string }[] {
  const at = identifier.indexOf(":");
  const [kind, value] = [identifier.slice(0, at), identifier.slice(at + 1)];
  return (kind === "system_uuid" ? [value, swapUuidBytes(value)] : [value]).map((each) => ({ kind, value: each }));
}

function collect(rows: readonly Resemblance[]): Map<string, Lookalike[]> {
  const found = new Map<string, Map<string, Lookalike>>();
  for (const { id, kind, machine_id: machineId, enrolment_id: enrolmentId } of rows) {
    const others = found.get(id) ?? new Map<string, Lookalike>();
    found.set(id, others);
    const name = machineId ?? enrolmentId ?? "";
    const known = others.get(name);
    others.set(name, {
      machineId,
      enrolmentId: known?.enrolmentId ?? enrolmentId,
      kinds: [...new Set([...(known?.kinds ?? []), kind])],
    });
  }
  return new Map([...found].map(([id, others]) => [id, [...others.values()]]));
}

/** An agent that waits and describes a machine that is known, but has another key. */
export type Knocker = Pick<EnrolmentRow, "id" | "address" | "lastSeenAt">;

/** Maximum number of agents that are named of one machine. */
const maxKnockers = 3;

/**
 * Returns the agents that wait with an identifier of the machine and another key than its agent's, the last seen first,
 * by the index on identifiers. The machine is known by its hardware report and by the enrolment through which its agent
 * came.
 */
export async function findKnockers(db: Database | Transaction, machineId: string): Promise<Knocker[]> {
  const { rows } = await db.execute<{ identifier: string }>(sql`
    select kind || ':' || value as identifier from ${machineIdentifier}
     where machine_id = ${machineId} and gone_at is null and kind in ('serial_number', 'system_uuid', 'mac')
    union
    select unnest(identifiers) from ${machineEnrolment} where machine_id = ${machineId}`);
  const known = rows.flatMap(({ identifier }) => spell(identifier)).map(({ kind, value }) => `${kind}:${value}`);
  if (known.length === 0) return [];
  const { id, address, lastSeenAt, state, identifiers, publicKey } = machineEnrolment;
  // Its key may have been registered without an approval.
  const isOther = sql`not exists (
    select from ${agentStarted} agent where agent.machine_id = ${machineId} and agent.public_key = ${publicKey})`;
  return await db
    .select({ id, address, lastSeenAt })
    .from(machineEnrolment)
    .where(and(eq(state, "waiting"), sql`${identifiers} && ${arrayParameter(known, "text")}`, isOther))
    .orderBy(desc(lastSeenAt))
    .limit(maxKnockers);
}
