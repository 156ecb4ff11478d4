/**
 * Finds machines and parts by what a person writes. Each kind of fact has an index in which equal values and values
 * with one beginning stand together. Every branch reads a bounded number of its entries, in its order, so a search
 * costs the same in a fleet of any size.
 */
import { type IdentifierKind, toSearchTexts } from "../../contract/identifiers.ts";
import type { Database } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";

/** Kinds of facts by which machines are found, the most telling first. */
export type MatchKind = "machine_id" | "provider_id" | IdentifierKind | "address" | "label";

/** A fact of a machine that matches a text. */
export interface MachineMatch {
  readonly machineId: string;
  readonly kind: MatchKind;
  /** The fact, as people write it. */
  readonly value: string;
  /** Vendor and model of the disk, key of the label, name of the provider; otherwise empty. */
  readonly part: string;
  /** Whether the text is the whole value. */
  readonly isExact: boolean;
  /** Since when the machine has the identifier; only identifiers have it. */
  readonly since: Date | undefined;
  /** When an identifier was gone; absent while the machine has it. */
  readonly goneAt: Date | undefined;
}

/** An identifier, and a machine that has it or had it. */
export interface HeldIdentifier extends MachineMatch {
  readonly kind: IdentifierKind;
  readonly scope: string;
  readonly firstSeenAt: Date;
}

/** Maximum number of machines with exactly one identifier among which those that have it now are put first. */
const maxSorted = 1000;

/** SQL of U+10FFFF, which is no character: a text followed by it is above every other text that begins with it. */
const last = "chr(1114111)";

/** What only identifiers have, and what stands for it elsewhere. Times are read as text, as Drizzle reads them. */
const times = "since::text, gone_at::text, first_seen_at::text, scope";
const noTimes = "null as since, null as gone_at, null as first_seen_at, null as scope";

/**
 * Returns the SQL of two branches over a column of text with an index of text_pattern_ops: the rows that are equal to
 * `text`, and those that only begin with it.
 */
function search(table: string, column: string, text: string, [kind, value, part]: readonly [string, string, string]) {
  const select = (isExact: boolean) => `
  (select machine_id, '${kind}' as kind, ${value} as value, ${part} as part, ${isExact} as is_exact,
          ${noTimes}
     from ${table}`;
  return `${select(true)} where ${column} = ${text} order by machine_id limit $5)
union all ${select(false)}
    where ${column} ~>~ ${text} and ${column} ~<~ (${text} || ${last}) order by ${column} using ~<~, machine_id limit $5)`;
}

/** Takes exact identifiers as $1, their beginnings as $2, and the limit of each branch as $5. */
const searchIdentifiers = `
  select * from (select machine_id, kind, shown as value, part, true as is_exact, ${times}
     from unnest($1::text[]) as text cross join lateral (
       select * from machine_identifier where value = text order by machine_id limit ${maxSorted}
     ) found
    order by found.gone_at desc nulls first, machine_id limit $5) as exact
union all
  (select machine_id, kind, shown, part, false, ${times}
     from unnest($2::text[]) as text cross join lateral (
       select * from machine_identifier where value ~>~ text and value ~<~ (text || ${last})
        order by value using ~<~, machine_id limit $5
     ) found
    where value <> all ($1))`;

/**
 * Takes also the whole text as $3, which PostgreSQL converts to lower case as it does what the indexes have, and the
 * first and last UUID as $4.
 */
const searchMachines = `
  select * from (select id as machine_id, 'machine_id' as kind, id::text as value, '' as part, ($4::uuid[])[1] = ($4::uuid[])[2] as is_exact,
          ${noTimes}
     from machine where id between ($4::uuid[])[1] and ($4::uuid[])[2] order by id limit $5) as own
union all ${search("provided", "lower(provider_id)", "lower($3)", ["provider_id", "provider_id", "provider"])}
union all ${search("provided", "lower(address)", "lower($3)", ["address", "address", "provider"])}
union all ${search("machine_label", "lower(value)", "lower($3)", ["label", "value", "key"])}
union all ${searchIdentifiers}`;

interface MatchRow {
  readonly machine_id: string;
  readonly kind: MatchKind;
  readonly value: string;
  readonly part: string;
  readonly is_exact: boolean;
  readonly since: string | null;
  readonly gone_at: string | null;
  readonly scope: string | null;
  readonly first_seen_at: string | null;
}

/**
 * Returns facts of machines that are equal to the text or begin with it, in no order: of each kind at most `limit` of
 * each sort. Exact ones and those that are held now come before others where the limit matters.
 */
export async function findMachineMatches(db: Database, text: string, limit: number): Promise<MachineMatch[]> {
  const { exact, beginnings, uuids = [] } = toSearchTexts(text);
  const { rows } = await db.$client.query<MatchRow>({
    name: "find-machines",
    text: searchMachines,
    values: [exact, beginnings, text, uuids, limit],
  });
  return rows.map(toMatch);
}

/** Returns identifiers that are equal to the text or begin with it, with the machines that have or had them. */
export async function findHeldIdentifiers(db: Database, text: string, limit: number): Promise<HeldIdentifier[]> {
  const { exact, beginnings } = toSearchTexts(text);
  const { rows } = await db.$client.query<MatchRow>({
    name: "find-parts",
    text: searchIdentifiers.replaceAll("$5", "$3"),
    values: [exact, beginnings, limit],
  });
  return rows.map((row) => ({
    ...toMatch(row),
    kind: row.kind as IdentifierKind,
    scope: row.scope ?? "",
    firstSeenAt: parseDatabaseTime(row.first_seen_at ?? ""),
  }));
}

function toMatch({ machine_id, kind, value, part, is_exact, since, gone_at }: MatchRow): MachineMatch {
  const toTime = (time: string | null) => (time === null ? undefined : parseDatabaseTime(time));
  return { machineId: machine_id, kind, value, part, isExact: is_exact, since: toTime(since), goneAt: toTime(gone_at) };
}
