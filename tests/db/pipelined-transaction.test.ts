import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { connectionConfig } from "../../src/db/client.ts";
import { sqlState } from "../../src/db/errors.ts";
import { NotCommittedError, runPipelined } from "../../src/db/pipelined-transaction.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const [first, second] = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];
const insert = (id: string | undefined) => ({
  text: "insert into machine (id) values ($1) returning id",
  values: [id],
});
let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client(connectionConfig(database.url, "test"));
  await client.connect();
});

beforeEach(() => client.query("delete from machine"));

afterAll(async () => {
  await client.end();
  await database.close();
});

async function stored(): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>("select id from machine order by id");
  return rows.map(({ id }) => id);
}

test("returns each statement's rows by its name, after the commit", async () => {
  const rows = await runPipelined(client, { one: insert(first), none: undefined, two: insert(second) });
  expect(rows).toEqual({ one: [{ id: first }], none: [], two: [{ id: second }] });
  expect(await stored()).toEqual([first, second]);
});

test("throws the first statement's error, and nothing is written", async () => {
  const failing = runPipelined(client, { one: insert(first), again: insert(first), two: insert(second) });
  expect(sqlState(await failing.catch((reason: unknown) => reason))).toBe("23505");
  expect(await stored()).toEqual([]);
});

test("throws when PostgreSQL answers COMMIT with ROLLBACK, though no statement's error was seen", async () => {
  const swallowing: pg.Client = Object.create(client, {
    query: { value: (statement: string) => client.query(statement).catch(() => ({ rows: [] })) },
  });
  const failing = runPipelined(swallowing, { one: insert(first), again: insert(first) });
  await expect(failing).rejects.toThrow(new NotCommittedError("ROLLBACK"));
  expect(await stored()).toEqual([]);
});
