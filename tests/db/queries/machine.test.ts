import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeHeartbeats } from "../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { createMachines, holdMachines } from "../../../src/db/queries/machine.ts";
import { transact } from "../../../src/db/transact.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { machineWithAgent, readTags } from "../../support/machine.ts";
import { withClient } from "../../support/seed.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

test("creates what does not exist, tells it from what does, and records only that", async () => {
  const { db } = database;
  const [first, second] = [randomUUID(), randomUUID()];
  const create = (ids: string[]) => transact(db, (tx) => createMachines(tx, ids, "seed:test"));
  expect(await create([first])).toEqual(new Set([first]));
  expect(await create([first, second])).toEqual(new Set([second]));
  expect(await create([])).toEqual(new Set());
  for (const machineId of [first, second]) {
    expect((await readTags(database, machineId)).history).toMatchObject([
      { machineId, actor: "seed:test", kind: "machine_created", detail: {} },
    ]);
  }
});

test("refuses to hold a machine that does not exist", async () => {
  const { machineId } = await machineWithAgent(database.db);
  const missing = randomUUID();
  const hold = transact(database.db, (tx) => holdMachines(tx, [machineId, missing]));
  await expect(hold).rejects.toMatchObject({ name: "MachineNotFoundError", machineId: missing });
});

test("a machine that an operator holds goes on having its first heartbeat", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  await transact(database.db, async (tx) => {
    await holdMachines(tx, [machineId]);
    const [outcome] = await withClient(database.url, async (client) => {
      await client.query("set lock_timeout = 2000");
      return writeHeartbeats(client, [{ machineId, publicKey: key.publicKey }]);
    });
    expect(outcome).toMatchObject({ kind: "counted" });
  });
});

test("a machine is held by one operator at a time", async () => {
  const { machineId } = await machineWithAgent(database.db);
  const order: string[] = [];
  let second: Promise<void> | undefined;
  await transact(database.db, async (tx) => {
    await holdMachines(tx, [machineId]);
    second = transact(database.db, async (other) => {
      await holdMachines(other, [machineId]);
      order.push("second");
    });
    await withClient(database.url, async (client) => {
      const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
      await expect.poll(async () => (await client.query(waiting)).rowCount).toBe(1);
    });
    order.push("first");
  });
  await second;
  expect(order).toEqual(["first", "second"]);
});
