/** `bmaas migrate`: brings a database to the schema, once, whoever else does, and needs no server. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import { checkSchema } from "../../src/db/migrate.ts";
import { openDatabaseServer } from "../../src/db/open.ts";
import { createEmptyDatabase, createTestDatabase } from "../support/database.ts";
import { makeFolder, runProgram } from "../support/program.ts";

async function migrate(url: string) {
  const directory = await makeFolder();
  return await runProgram(["migrate"], { directory, environment: { DATABASE_URL: url } });
}

async function emptyDatabase(): Promise<string> {
  const { url, drop } = await createEmptyDatabase();
  onTestFinished(drop);
  return url;
}

const upToDate = "nothing to do: the schema is up to date\n";

test("fills an empty database, and has nothing to do the second time", async () => {
  const url = await emptyDatabase();
  const { pending } = await checkSchema(url);
  expect(pending).toBeGreaterThan(0);
  expect(await migrate(url)).toMatchObject({
    status: 0,
    stdout: `applied ${pending} migration${pending === 1 ? "" : "s"}\n`,
  });
  expect(await checkSchema(url)).toEqual({ pending: 0 });
  expect(await migrate(url)).toMatchObject({ status: 0, stdout: upToDate });
});

test("of three at once one does it and the others find it done", async () => {
  const url = await emptyDatabase();
  const results = await Promise.all([migrate(url), migrate(url), migrate(url)]);
  expect(results.map(({ status }) => status)).toEqual([0, 0, 0]);
  expect(results.filter(({ stdout }) => stdout === upToDate)).toHaveLength(2);
  expect(await checkSchema(url)).toEqual({ pending: 0 });
});

test("refuses a database of a newer version with status 2, and leaves it as it is", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  await database.db.execute(
    sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('of a later version', 4102444800000)`,
  );
  const { status, stdout, stderr } = await migrate(database.url);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^bmaas: the database has 1 migration that this bmaas does not know, .*: upgrade bmaas .*\n$/);
});

test("says that the server refuses it with status 2, without the password", async () => {
  const url = new URL(await emptyDatabase());
  const { password } = url;
  url.pathname = "no_such_database";
  const { status, stdout, stderr } = await migrate(url.href);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^bmaas: the database refused the connection: .*"no_such_database" does not exist\n$/);
  if (password !== "") expect(stderr).not.toContain(password);
});

test("says that the database is away with status 1, without the password", async () => {
  const { status, stdout, stderr } = await migrate("postgres://bmaas:correct-horse@127.0.0.1:1/bmaas");
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toBe(
    "bmaas: the database is unreachable (ECONNREFUSED): mend that or DATABASE_URL, then migrate again\n",
  );
  expect(stderr).not.toContain("correct-horse");
});

test("is refused, and creates nothing, where the home has no database", async () => {
  const directory = await makeFolder();
  expect(await runProgram(["migrate", "--home", "typo"], { directory })).toEqual({
    status: 2,
    stdout: "",
    stderr:
      `bmaas: there is no database under ${join(directory, "typo")}, and bmaas migrate creates none: ` +
      "set --home to the folder of a server that has started once, or set DATABASE_URL\n",
  });
  expect(await readdir(directory)).toEqual([]);
});

test("migrates the database that the home has", async () => {
  const directory = await makeFolder();
  const { close } = await openDatabaseServer({
    home: join(directory, "home"),
    log: pino({ level: "silent" }),
    mode: "own",
  });
  await close();
  expect(await runProgram(["migrate", "--home", "home"], { directory })).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^applied \d+ migrations?\n$/),
  });
});
