/** That prepared queries return what Drizzle's own do, and that PostgreSQL keeps their plans. */
import { randomUUID } from "node:crypto";
import { desc, eq, getTableColumns, type SQL, sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Database, Transaction } from "../../src/db/client.ts";
import { createStatementNames, prepareSelect } from "../../src/db/prepared-query.ts";
import {
  agentHeartbeat,
  machine,
  machineHistory,
  osInstallationReport,
  osInstallationRequest,
  provided,
} from "../../src/db/schema/index.ts";
import { readSnapshot } from "../../src/db/transaction.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { bareMachine, requestInstallation } from "../support/machine.ts";
import { situations } from "../support/situation.ts";

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
  for (const situation of situations) await situation.make(db);
  await requestInstallation(db, await bareMachine(db));
});

afterAll(() => database.close());

/** Outer joins with and without rows, values that Drizzle decodes, and values of one's own. */
function selectMachines(on: Database | Transaction, part: SQL) {
  const { machineId, ...request } = getTableColumns(osInstallationRequest);
  const readAt = sql`timestamptz '2026-01-02 03:04:05.678+00'`.mapWith(machine.createdAt).as("read_at");
  return on
    .select()
    .from(sql`(${part}) as page`)
    .innerJoinLateral(on.select().from(machine).where(eq(machine.id, sql`page.id`)).as("machine"), sql`true`)
    .leftJoinLateral(on.select().from(provided).where(eq(provided.machineId, sql`page.id`)).as("provided"), sql`true`)
    .leftJoinLateral(
      on.select().from(agentHeartbeat).where(eq(agentHeartbeat.machineId, sql`page.id`)).limit(1).as("heartbeat"),
      sql`true`,
    )
    .leftJoinLateral(
      on
        .select({ ...request, machineId })
        .from(osInstallationRequest)
        .where(eq(machineId, sql`page.id`))
        .orderBy(desc(osInstallationRequest.generation))
        .limit(1)
        .as("request"),
      sql`true`,
    )
    .leftJoinLateral(
      on
        .select({ error: osInstallationReport.error, generation: osInstallationReport.generation })
        .from(osInstallationReport)
        .where(eq(osInstallationReport.machineId, sql`page.id`))
        .limit(1)
        .as("report"),
      sql`true`,
    )
    .innerJoinLateral(
      on
        .select({ readAt, kinds: sql<string[] | null>`jsonb_agg(kind order by id)`.as("kinds") })
        .from(machineHistory)
        .where(eq(machineHistory.machineId, sql`page.id`))
        .as("history"),
      sql`true`,
    )
    .orderBy(sql`page.id`);
}

const readMachines = prepareSelect(selectMachines);

describe("a prepared select", () => {
  test("returns what Drizzle's own does, missing rows of outer joins included", async () => {
    const page = sql`select id from ${machine}`;
    const own = await selectMachines(db, page);
    expect(own.length).toBeGreaterThan(situations.length);
    expect(own.some(({ provided }) => provided === null) && own.some(({ provided }) => provided !== null)).toBe(true);
    expect(own.some(({ request }) => request === null) && own.some(({ request }) => request !== null)).toBe(true);
    for (let run = 0; run < 3; run++) expect(await readMachines(db, page)).toStrictEqual(own);
    expect(await readSnapshot(db, (tx) => readMachines(tx, page))).toStrictEqual(own);
  });

  test("takes other parts and other values of the same part", async () => {
    const [first, second] = await db.select({ id: machine.id }).from(machine).orderBy(machine.id);
    const idsOf = async (part: SQL) => (await readMachines(db, part)).map((row) => row.machine.id);
    const named = (id?: string) => sql`select ${id}::uuid as id`;
    expect(await idsOf(named(first?.id))).toEqual([first?.id]);
    expect(await idsOf(named(second?.id))).toEqual([second?.id]);
    expect(await idsOf(named(randomUUID()))).toEqual([]);
    expect(await idsOf(sql`select id from ${machine} order by id limit ${2}`)).toEqual([first?.id, second?.id]);
  });

  test("refuses a value that would not change from call to call, and a query without its part", async () => {
    const withText = prepareSelect((on, part) => on.select().from(provided).where(sql`provider = ${"a"} and ${part}`));
    await expect(withText(db, sql`true`)).rejects.toThrow("a prepared select may contain integers only: use its part");
    const without = prepareSelect((on) => on.select().from(provided));
    await expect(without(db, sql`true`)).rejects.toThrow("a prepared select must contain its part once");
  });
});

/** Connects as a process does that has given no names yet: the tests of other files may have used them up. */
async function connectAnew() {
  vi.resetModules();
  const [{ connectDatabase }, overviews] = await Promise.all([
    import("../../src/db/client.ts"),
    import("../../src/db/queries/machine-overview.ts"),
  ]);
  return { ...connectDatabase(database.url, { maxConnections: 1 }), ...overviews };
}

test("PostgreSQL keeps the plan of a list from the sixth time on, whatever its limit and position", async () => {
  const { db: own, close, listMachineOverviews } = await connectAnew();
  const ids = (await db.select({ id: machine.id }).from(machine).orderBy(machine.id)).map(({ id }) => id);
  const through = ids.at(-1);
  for (let run = 0; run < 10; run++) {
    const listed = await listMachineOverviews(own, {}, { after: ids[run], through, limit: run + 1 });
    expect(listed.map((row) => row.machine.id)).toEqual(ids.slice(run + 1, 2 * run + 2));
  }
  const { rows } = await own.$client.query<{ generic: string; custom: string }>(
    "select generic_plans as generic, custom_plans as custom from pg_prepared_statements where statement like '%matching%'",
  );
  await close();
  expect(rows).toHaveLength(1);
  expect(Number(rows[0]?.custom)).toBe(5);
  expect(Number(rows[0]?.generic)).toBeGreaterThanOrEqual(4);
});

test("PostgreSQL keeps the plan of machines by their ids, however many are asked for", async () => {
  const { db: own, close, findMachineOverviews } = await connectAnew();
  const ids = (await db.select({ id: machine.id }).from(machine).orderBy(machine.id)).map(({ id }) => id);
  for (let run = 0; run < 10; run++) {
    // One machine is what operators get most; PostgreSQL would plan it anew if it saw how few they are.
    const wanted = ids.slice(run, run + (run < 8 ? 1 : 3));
    expect((await findMachineOverviews(own, wanted)).map((row) => row.machine.id)).toEqual(wanted);
  }
  const { rows } = await own.$client.query<{ generic: string }>(
    "select generic_plans as generic from pg_prepared_statements where statement like '%named%'",
  );
  await close();
  expect(rows).toHaveLength(1);
  expect(Number(rows[0]?.generic)).toBeGreaterThanOrEqual(4);
});

test("names texts that come again, and no more than the limit", () => {
  let nowMs = 0;
  const findName = createStatementNames("test", 2, 1000, () => nowMs);
  expect(["a", "a", "a"].map(findName)).toEqual([undefined, "test-1", "test-1"]);
  expect(["once", "b", "b"].map(findName)).toEqual([undefined, undefined, "test-2"]);
  expect(["c", "c", "once", "a"].map(findName)).toEqual([undefined, undefined, undefined, "test-1"]);
  // One that was not used for long makes room, and no name is given twice.
  nowMs = 999;
  expect(["c", "c", "a"].map(findName)).toEqual([undefined, undefined, "test-1"]);
  nowMs = 1000;
  expect(["c", "a", "b", "b", "c"].map(findName)).toEqual(["test-3", "test-1", undefined, undefined, "test-3"]);
});
