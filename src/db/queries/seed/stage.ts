/**
 * The temporary tables of a seed: the machines of the file, and what they change. They end with the transaction.
 *
 * | table | a row for |
 * |---|---|
 * | seed_row | each machine of the file |
 * | seed_created | each machine that the seed created |
 * | seed_held | each machine that existed before, and that the seed changes |
 * | seed_provided, seed_agent | each machine whose tag the seed writes, with the tag's next values |
 * | seed_label | each label that the seed sets, or removes where the value is null |
 * | seed_expected | each machine with an `expect`, with the outcome |
 * | seed_install | each machine with an `install`, with the outcome |
 */
import { sql } from "drizzle-orm";
import type { BulkTransaction } from "../../bulk.ts";
import type { Transaction } from "../../client.ts";

/** The table that takes the machines of a file, with its columns in the order of a line of COPY. */
const stagedRows = `seed_row (index, line, place, machine_id, has_id, provider, provider_id, reservation, address,
  location, status, provided_given, labels, public_key, expect, install)`;

const createTables = `
  create temporary table seed_row (
    index integer not null, line integer not null, place text not null, machine_id uuid, has_id boolean not null,
    is_id_made boolean, provider text, provider_id text, reservation text, address text, location text, status text,
    provided_given integer not null, labels jsonb, public_key bytea, expect text, install text)
    on commit drop;
  create temporary table seed_created (machine_id uuid not null) on commit drop;
  create temporary table seed_held (machine_id uuid not null) on commit drop;
  create temporary table seed_provided (
    index integer not null, machine_id uuid not null, is_new boolean not null, provider text not null,
    provider_id text not null, reservation text, address text, location text, status text not null,
    provided_at timestamptz) on commit drop;
  create temporary table seed_agent (
    index integer not null, machine_id uuid not null, public_key bytea not null, previous_key bytea) on commit drop;
  create temporary table seed_label (
    index integer not null, machine_id uuid not null, key text not null, value text, had_labels boolean not null
    ) on commit drop;
  create temporary table seed_expected (index integer not null, outcome text not null) on commit drop;
  create temporary table seed_install (
    index integer not null, machine_id uuid not null, is_requested boolean not null, generation bigint,
    note text) on commit drop`;

/** Creates the tables, and fills seed_row with lines in PostgreSQL's text format of COPY. */
export async function stageSeed({ tx, copyIn }: BulkTransaction, lines: AsyncIterable<Buffer>): Promise<void> {
  await tx.execute(createTables);
  await copyIn(stagedRows, lines);
  await tx.execute("analyze seed_row");
}

/**
 * Finds the machine in the database for each machine of the file that has no id: by its provider's id, else by its key.
 * The key does not count if the file names a provider's id and the key's machine already has another: then it is a
 * different machine. A machine that is not found gets a new id.
 */
export async function findSeedTargets(tx: Transaction): Promise<void> {
  await tx.execute(sql`
    update seed_row row
       set machine_id = coalesce(by_provider, by_key, gen_random_uuid()),
           is_id_made = by_provider is null and by_key is null
      from (
        select seed.index, provided.machine_id as by_provider,
               case when seed.provider is null or other.machine_id is null then agent.machine_id end as by_key
          from seed_row seed
          left join provided on provided.provider = seed.provider and provided.provider_id = seed.provider_id
          left join agent_started agent on agent.public_key = seed.public_key
          left join provided other on other.machine_id = agent.machine_id
         where not seed.has_id
      ) found
     where row.index = found.index`);
  await tx.execute("analyze seed_row");
}

/** Creates the machines that do not exist yet, in id order, and returns their number. */
export async function createSeedMachines(tx: Transaction, actor: string): Promise<number> {
  const { rowCount } = await tx.execute(sql`
    with made as (
      insert into machine (id)
      select machine_id from seed_row
       where not exists (select from machine where machine.id = seed_row.machine_id)
       order by machine_id
      on conflict do nothing
      returning id
    ), noted as (
      insert into seed_created select id from made
    )
    insert into machine_history (machine_id, actor, kind, detail)
    select id, ${actor}, 'machine_created', '{}' from made`);
  await tx.execute("analyze seed_created");
  return rowCount ?? 0;
}

/** Number of machines of the file that share something, and of those that were found in the database. */
export interface SeedSharing {
  readonly what: "id" | "key" | "provider id" | "machine";
  readonly index: number;
  readonly firstIndex: number;
  readonly machineId: string;
}

const sharedColumns = [
  { what: "id", columns: "machine_id", where: "has_id" },
  { what: "key", columns: "public_key", where: "public_key is not null" },
  { what: "provider id", columns: "provider, provider_id", where: "provider is not null" },
  { what: "machine", columns: "machine_id", where: "true" },
] as const;

/**
 * Returns the machines of the file that repeat an earlier one's id, key or provider's id, or are the same machine in
 * the database; at most `limit` of each.
 */
export async function findSeedSharing(tx: Transaction, limit: number): Promise<SeedSharing[]> {
  const found: SeedSharing[] = [];
  for (const { what, columns, where } of sharedColumns) {
    const reported = new Set(found.map(({ index }) => index));
    const { rows } = await tx.execute<{ index: number; first: number; machine_id: string }>(
      sql.raw(`
        select index, first, machine_id from (
          select index, machine_id, min(index) over (partition by ${columns}) as first
            from seed_row
           where ${where} and (${columns}) in (
             select ${columns} from seed_row where ${where} group by ${columns} having count(*) > 1)
        ) shared
        where index > first order by index limit ${limit}`),
    );
    for (const row of rows) {
      // The same machine is what the same id, key or provider's id makes of it.
      if (what === "machine" && reported.has(row.index)) continue;
      found.push({ what, index: row.index, firstIndex: row.first, machineId: row.machine_id });
    }
  }
  return found;
}

/** Returns the places of machines of the file, by index. */
export async function findSeedPlaces(tx: Transaction, indexes: readonly number[]): Promise<Map<number, string>> {
  const { rows } = await tx.execute<{ index: number; place: string }>(
    sql`select index, place from seed_row where index = any(${sql.param([...indexes])}::integer[])`,
  );
  return new Map(rows.map(({ index, place }) => [index, place]));
}

/** Returns the index of a machine of the file, or undefined if the file does not mention the machine. */
export async function findSeedIndex(tx: Transaction, machineId: string): Promise<number | undefined> {
  const { rows } = await tx.execute<{ index: number }>(
    sql`select index from seed_row where machine_id = ${machineId} order by index limit 1`,
  );
  return rows[0]?.index;
}
