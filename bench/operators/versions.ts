/**
 * The two versions that are compared: this clone and an earlier commit, each with its own database of the same fleet on
 * one PostgreSQL.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { pino } from "pino";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { checkOut } from "../command-line/versions.ts";
import type { BenchPostgres } from "../end-to-end/fleet-databases.ts";
import { withClient } from "../end-to-end/seed-fleet.ts";
import { createLargeFleet } from "../measure/large-fleet.ts";

/** A version of the program with its database. */
export interface FleetVersion {
  readonly name: string;
  /** Path of its sources. */
  readonly folder: string;
  readonly databaseUrl: string;
  /** Imports one of its modules, by the path from the root of the repository. It must export what the clone's does. */
  load<Module>(path: string): Promise<Module>;
}

/** Both versions. */
export interface FleetVersions {
  readonly now: FleetVersion;
  readonly before: FleetVersion;
}

const log = pino({ level: "silent" });
const repository = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Checks out `commit` below `folder`, and creates both databases with the same `machines`. The earlier version's has
 * the rows of the other one, as far as its tables have their columns.
 */
export async function createVersions(
  postgres: BenchPostgres,
  { commit, folder, machines }: { readonly commit: string; readonly folder: string; readonly machines: number },
): Promise<FleetVersions> {
  const now = describe("clone", repository, await postgres.createDatabase("operators_now"));
  process.stderr.write(`creates ${machines.toLocaleString("en")} machines …\n`);
  await migrateDatabase(now.databaseUrl, log);
  await createLargeFleet(now.databaseUrl, machines);
  return { now, before: await addVersion(postgres, now, { commit, folder }) };
}

/** Checks out `commit` in a folder of its own below `folder`, with a database that has the rows of `now`'s. */
export async function addVersion(
  postgres: BenchPostgres,
  now: FleetVersion,
  { commit, folder }: { readonly commit: string; readonly folder: string },
): Promise<FleetVersion> {
  process.stderr.write(`checks out ${commit} …\n`);
  const earlier = checkOut(commit, mkdtempSync(join(folder, "version-")));
  const before = describe(commit, earlier.folder, await postgres.createDatabase(`operators_${commit}`));
  const { migrateDatabase: migrateEarlier } =
    await before.load<typeof import("../../src/db/migrate.ts")>("src/db/migrate.ts");
  await migrateEarlier(before.databaseUrl, log);
  await copyRows(now.databaseUrl, before.databaseUrl);
  return before;
}

function describe(name: string, folder: string, databaseUrl: string): FleetVersion {
  return { name, folder, databaseUrl, load: (path) => import(join(folder, path)) };
}

/** Copies the rows of all tables that both databases have, through files of the server, and analyzes the target. */
async function copyRows(source: string, target: string): Promise<void> {
  await withClient(source, (from) =>
    withClient(target, async (to) => {
      const { rows } = await to.query<{ data_directory: string }>("show data_directory");
      const sourceColumns = await readColumns(from);
      // Rows come in any order of tables, so references are checked by nobody: they held in the source.
      await to.query("set session_replication_role = replica");
      for (const [table, columns] of await readColumns(to)) {
        const common = columns.filter((column) => sourceColumns.get(table)?.includes(column));
        if (common.length === 0) continue;
        const file = `${rows[0]?.data_directory}/copy-${randomUUID()}`;
        const names = common.map((column) => `"${column}"`).join(", ");
        await from.query(`copy (select ${names} from "${table}") to '${file}' (format binary)`);
        await to.query(`copy "${table}" (${names}) from '${file}' (format binary)`);
      }
      await continueSequences(to);
      await to.query("vacuum (analyze)");
    }),
  );
}

/** Lets the sequences of columns go on behind the copied values, which COPY does not do. */
async function continueSequences(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ table: string; column: string }>(
    `select table_name as table, column_name as column from information_schema.columns
      where table_schema = 'public' and pg_get_serial_sequence(quote_ident(table_name), column_name) is not null`,
  );
  for (const { table, column } of rows) {
    const largest = `(select max("${column}") from "${table}")`;
    await client.query(`select setval(pg_get_serial_sequence('"${table}"', '${column}'), coalesce(${largest}, 1))`);
  }
}

/** The columns of all tables that can be written, by table. */
async function readColumns(client: pg.Client): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ name: string; columns: string[] }>(
    `select table_name as name, array_agg(column_name::text order by ordinal_position) as columns
       from information_schema.columns join information_schema.tables using (table_schema, table_name)
      where table_schema = 'public' and table_type = 'BASE TABLE' and is_generated = 'NEVER'
      group by table_name`,
  );
  return new Map(rows.map(({ name, columns }) => [name, columns]));
}
