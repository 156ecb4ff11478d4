import { readFileSync } from "node:fs";
import { generateDrizzleJson, generateMigration } from "drizzle-kit/api";
import pg from "pg";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkSchema, migrateDatabase, NewerSchemaError } from "../../src/db/migrate.ts";
import * as schema from "../../src/db/schema/index.ts";
import { createEmptyDatabase, createTestDatabase } from "../support/database.ts";
import { query } from "../support/embedded-owner.ts";

const log = pino({ level: "silent" });
const journal = JSON.parse(readFileSync(new URL("../../drizzle/meta/_journal.json", import.meta.url), "utf8")) as {
  entries: { tag: string; when: number }[];
};
const migrations = journal.entries.length;
let url: string;
let drop: () => Promise<void>;

beforeEach(async () => {
  ({ url, drop } = await createEmptyDatabase());
});

afterEach(async () => drop());

/** Migrates the empty database as a bmaas did that did not know the migration `tag` yet. */
async function migrateUpTo(tag: string): Promise<void> {
  const end = journal.entries.findIndex((entry) => entry.tag === tag);
  expect(end).toBeGreaterThan(0);
  await query(
    url,
    "create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)",
  );
  for (const { tag: applied, when } of journal.entries.slice(0, end)) {
    await query(url, readFileSync(new URL(`../../drizzle/${applied}.sql`, import.meta.url), "utf8"));
    await query(url, `insert into drizzle.__drizzle_migrations (hash, created_at) values ('${applied}', ${when})`);
  }
}

/** What the catalogue says of tables, constraints, indexes and sequences. */
async function describeSchema(database: string): Promise<unknown[]> {
  const columns = query(
    database,
    `select table_name, column_name, data_type, is_nullable, column_default, is_identity
      from information_schema.columns where table_schema = 'public' order by table_name, column_name`,
  );
  const constraints = query(
    database,
    `select conrelid::regclass::text as of, conname, pg_get_constraintdef(oid) as definition
      from pg_constraint where connamespace = 'public'::regnamespace order by 1, 2`,
  );
  const indexes = query(database, "select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1");
  const sequences = query(
    database,
    "select sequence_name, data_type, start_value, increment from information_schema.sequences where sequence_schema = 'public' order by 1",
  );
  return Promise.all([columns, constraints, indexes, sequences]);
}

describe("migrating", () => {
  it("makes of an empty database exactly what the schema modules say", async () => {
    await migrateDatabase(url, log);
    const empty = generateDrizzleJson({}, undefined, undefined, "snake_case");
    const statements = await generateMigration(empty, generateDrizzleJson(schema, undefined, undefined, "snake_case"));
    const wanted = await createEmptyDatabase();
    // Issues that began or ended take their ids from the sequence of the history.
    const isFirst = (statement: string) => statement.startsWith('CREATE TABLE "machine_history"');
    const ordered = [...statements.filter(isFirst), ...statements.filter((statement) => !isFirst(statement))];
    // Drizzle's modules cannot declare the function that a column and a view call.
    const [lineage] = await query(url, "select pg_get_functiondef('database_lineage'::regproc) as definition");
    for (const statement of [String(lineage?.definition), ...ordered]) await query(wanted.url, statement);
    const description = await describeSchema(url);
    expect(description).toEqual(await describeSchema(wanted.url));
    expect(JSON.stringify(description)).toContain("agent_heartbeat");
    await wanted.drop();
  });

  it("applies everything once, and nothing the next time", async () => {
    expect(await checkSchema(url)).toEqual({ pending: migrations });
    expect(await migrateDatabase(url, log)).toEqual({ applied: migrations });
    expect(await checkSchema(url)).toEqual({ pending: 0 });
    expect(await migrateDatabase(url, log)).toEqual({ applied: 0 });
  });

  it("only looks when it checks", async () => {
    await checkSchema(url);
    expect(await query(url, "select from pg_namespace where nspname = 'drizzle'")).toEqual([]);
  });

  it("succeeds in all of several processes that migrate at once", async () => {
    const results = await Promise.all([1, 2, 3, 4].map(() => migrateDatabase(url, log)));
    expect(results.map(({ applied }) => applied).sort()).toEqual([0, 0, 0, migrations]);
    expect(await query(url, "select hash from drizzle.__drizzle_migrations")).toHaveLength(migrations);
  });

  it("waits its turn for longer than the database lets statements run", async () => {
    const name = new URL(url).pathname.slice(1);
    await query(url, `alter database ${name} set statement_timeout = 100`);
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    await other.query("set statement_timeout = 0");
    const waiting = Promise.withResolvers<void>();
    const waitLog = pino({ level: "info" }, { write: () => waiting.resolve() });
    await other.query("select pg_advisory_lock($1)", [0x6d696772]);
    const migrating = migrateDatabase(url, waitLog);
    await waiting.promise;
    await other.query("select pg_sleep(0.3)");
    await other.end();
    expect(await migrating).toEqual({ applied: migrations });
  });

  it("lets a role that may not change the schema find that nothing is to do", async () => {
    await migrateDatabase(url, log);
    const role = `reader_${new URL(url).pathname.slice(1)}`;
    await query(url, `create role ${role} login password 'reader'`);
    await query(
      url,
      `grant usage on schema drizzle to ${role}; grant select on drizzle.__drizzle_migrations to ${role}`,
    );
    const asReader = new URL(url);
    asReader.username = role;
    asReader.password = "reader";
    const migrating = migrateDatabase(asReader.href, log);
    await expect(migrating).resolves.toEqual({ applied: 0 });
    await query(url, `drop owned by ${role}; drop role ${role}`);
  });
});

describe("a database of a newer schema", () => {
  const unknown = { when: Date.UTC(2100, 0, 1), hash: "of a migration to come" };

  beforeEach(async () => {
    await migrateDatabase(url, log);
    await query(
      url,
      `insert into drizzle.__drizzle_migrations (hash, created_at) values ('${unknown.hash}', ${unknown.when})`,
    );
  });

  it("is refused, saying what was found and what to do", async () => {
    const refusal = migrateDatabase(url, log);
    await expect(refusal).rejects.toThrow(NewerSchemaError);
    await expect(refusal).rejects.toThrow(/1 migration that this bmaas does not know.*2100-01-01.*upgrade bmaas/);
  });

  it("is refused by a check alike, and left as it is", async () => {
    await expect(checkSchema(url)).rejects.toThrow(NewerSchemaError);
    expect(await query(url, "select from drizzle.__drizzle_migrations")).toHaveLength(migrations + 1);
  });
});

describe("a migration that fails", () => {
  it("leaves the database as it was, and says why", async () => {
    await query(url, "create table machine_history (mine int)");
    await expect(migrateDatabase(url, log)).rejects.toThrow(
      'could not migrate the database, which is unchanged: relation "machine_history" already exists',
    );
    expect(await query(url, "select tablename from pg_tables where schemaname = 'public'")).toHaveLength(1);
    await query(url, "drop table machine_history");
    expect(await migrateDatabase(url, log)).toEqual({ applied: migrations });
  });
});

describe("reports that were refused before 0007_requests_withheld", () => {
  const [one, two, gone] = [1, 2, 3].map((digit) => `${digit}b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11`) as [
    string,
    string,
    string,
  ];
  const refuse = (machineId: string, generation: bigint) =>
    query(
      url,
      `insert into machine_history (machine_id, actor, kind, detail)
       values ('${machineId}', 'agent:00', 'installation_report_refused', '{"generation":"${generation}"}')`,
    );
  const request = (machineId: string, generation: bigint, givenAt = "null") =>
    query(
      url,
      `insert into os_installation_request (machine_id, generation, requested_by, request, first_given_at)
       values ('${machineId}', ${generation}, 'test', '', ${givenAt})`,
    );
  const read = () =>
    query(url, "select machine_id, generation, floor from refused_report order by machine_id") as Promise<object[]>;

  beforeEach(async () => {
    await migrateUpTo("0007_requests_withheld");
    await query(url, `insert into machine (id) values ('${one}'), ('${two}')`);
  });

  it("give machines their floor and the last generation reported, as far as it is believed", async () => {
    await request(one, 5n, "now()");
    for (const generation of [7n, 9n, 2n ** 63n - 1n, 8n]) await refuse(one, generation);
    await refuse(two, -(2n ** 63n));
    await refuse(gone, 4n);
    await migrateDatabase(url, log);
    expect(await read()).toEqual([
      { machine_id: one, generation: "8", floor: "9" },
      { machine_id: two, generation: (-(2n ** 63n)).toString(), floor: "0" },
    ]);
  });

  it("are believed from what the machine had reached before it was deleted", async () => {
    const reached = 2n ** 60n;
    await query(url, `insert into deleted_machine (machine_id, generation) values ('${one}', ${reached})`);
    await refuse(one, reached + 3n);
    await refuse(two, reached + 3n);
    await migrateDatabase(url, log);
    expect(await read()).toMatchObject([{ floor: `${reached + 3n}` }, { floor: "0" }]);
  });

  it("withhold the open request that took such a generation and was given to nobody", async () => {
    await refuse(one, 6n);
    await request(one, 6n);
    await refuse(two, 6n);
    await request(two, 6n, "now()");
    await migrateDatabase(url, log);
    expect(await query(url, "select * from installation_withheld")).toEqual([
      { machine_id: one, generation: "6", reason: "reported_before_given", until: null },
    ]);
  });
});

describe("a test's database", () => {
  it("has all tables, no rows, and nothing in common with another one", async () => {
    const [one, other] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    await one.db.insert(schema.machine).values({ id: "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11" });
    expect(await one.db.select().from(schema.machine)).toHaveLength(1);
    expect(await other.db.select().from(schema.machine)).toEqual([]);
    await Promise.all([one.close(), other.close()]);
    await expect(query(one.url, "select 1")).rejects.toMatchObject({ code: "3D000" });
  });
});
