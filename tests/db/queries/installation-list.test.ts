/** That lists of installations do bounded work, by the plans that PostgreSQL makes of them over many rows. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectDatabase } from "../../../src/db/client.ts";
import { type InstallationListOptions, listInstallations } from "../../../src/db/queries/installation-list.ts";
import type { InstallationKey, InstallationStateName } from "../../../src/db/queries/installation-overview.ts";
import { osInstallationRequest } from "../../../src/db/schema/index.ts";
import { captureScans } from "../../support/captured-plans.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { bareMachine } from "../../support/machine.ts";

const machines = 4000;

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.db.$client.query(`
    insert into machine (id) select gen_random_uuid() from generate_series(1, ${machines});
    -- Ten of each machine, of which the first failed for one machine in ten, and the last is open for another in ten.
    insert into os_installation_request (machine_id, generation, requested_by, request, finished_at, result, error)
    select id, generation, 'test', '\\x01', case when not is_open then now() end,
           case when failed then 'error' when not is_open then 'success' end, case when failed then 'no disk' end
      from (select id, generation, generation = 10 and number % 10 = 0 as is_open, generation = 1 and number % 10 = 1 as failed
              from (select id, row_number() over (order by id) as number from machine) as numbered, generate_series(1, 10) as generation
           ) as wanted;
    analyze`);
}, 120_000);

afterAll(() => database?.close());

const list = (options: Partial<Omit<InstallationListOptions, "states">> & { states?: InstallationStateName[] } = {}) =>
  listInstallations(database.db, { limit: 50, ...options, states: new Set(options.states) });

const scansOf = (options: Parameters<typeof list>[0] = {}) =>
  captureScans(database.url, (db) => listInstallations(db, { limit: 50, ...options, states: new Set(options.states) }));

/** Walks the whole list, and returns how many pages it has and what is on them. */
async function walk(states: InstallationStateName[]) {
  const keys: InstallationKey[] = [];
  let pages = 0;
  for (let after: InstallationKey | undefined; ; ) {
    const page = await list({ states, limit: 1000, ...(after && { after }) });
    keys.push(...page.installations);
    pages += 1;
    after = page.next;
    if (after === undefined) return { keys, pages };
  }
}

test("a filter that few pass gives short pages, and in the end all that pass", async () => {
  const first = await list({ states: ["superseded"] });
  expect(first.installations).toEqual([]);
  expect(first.next).toBeDefined();
  const { keys, pages } = await walk(["cancelled", "failed"]);
  expect(pages).toBeGreaterThanOrEqual((machines * 10) / 1000);
  expect(keys).toHaveLength(machines / 10);
});

test("open and failed ones are found by indexes of their own, in few pages", async () => {
  const { keys, pages } = await walk(["pending", "failed"]);
  expect(pages).toBe(1);
  expect(keys).toHaveLength(machines / 5);
  const names = keys.map(({ machineId, generation }) => [machineId, generation] as const);
  const inOrder = names.toSorted(([a, x], [b, y]) => (a === b ? Number(y - x) : a < b ? -1 : 1));
  expect(names).toEqual(inOrder);
});

describe("no page reads a table from end to end, or more rows than it looks through", () => {
  const middle = { machineId: "80000000-0000-0000-0000-000000000000", generation: 5n };
  test.each<[string, Parameters<typeof list>[0], number]>([
    ["all, the first page", {}, 51],
    ["all, from the middle", { after: middle }, 51],
    ["open ones", { states: ["pending", "overdue"], after: middle }, 1001],
    ["failed ones", { states: ["failed"], after: middle }, 1001],
    ["open and failed ones", { states: ["given", "failed"], after: middle }, 2002],
    ["cancelled ones", { states: ["cancelled"], after: middle }, 1001],
  ])("%s", async (_, options, mostRead) => {
    const scans = await scansOf(options);
    expect(scans.map(({ relation }) => relation)).toContain("os_installation_request");
    for (const { node, rows } of scans) {
      expect(node).not.toBe("Seq Scan");
      expect(rows).toBeLessThanOrEqual(mostRead);
    }
  });

  test("a machine with very many installations costs no more", async () => {
    const machineId = await bareMachine(database.db);
    await database.db.$client.query(
      `insert into os_installation_request (machine_id, generation, requested_by, request, superseded_at)
       select $1, generation, 'test', '\\x01', now() from generate_series(1, 20000) as generation`,
      [machineId],
    );
    await database.db.$client.query("analyze os_installation_request");
    for (const options of [
      { after: { machineId, generation: 9000n } },
      { machineId },
      { states: ["cancelled" as const], machineId },
    ]) {
      for (const { rows } of await scansOf(options)) expect(rows).toBeLessThanOrEqual(1001);
    }
  });
});

test("a page reads a few megabytes of requests at most, and one installation at least", async () => {
  const { db, close } = connectDatabase(database.url);
  const machineId = await bareMachine(db);
  const request = randomBytes(3 * 1024 * 1024);
  const row = (generation: bigint) => ({
    machineId,
    generation,
    requestedBy: "test",
    request,
    cancelledAt: new Date(),
  });
  await db.insert(osInstallationRequest).values([1n, 2n, 3n, 4n, 5n].map(row));
  const page = await list({ machineId });
  expect(page.installations.map(({ generation }) => generation)).toEqual([5n, 4n, 3n]);
  expect(page.next).toMatchObject({ generation: 3n });
  const rest = await list({ machineId, ...(page.next && { after: page.next }) });
  expect(rest.installations.map(({ generation }) => generation)).toEqual([2n, 1n]);
  expect(rest.next).toBeUndefined();
  await close();
});
