import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { appendHistory, type HistoryEntry, listHistory } from "../../../src/db/queries/machine-history.ts";
import { transact } from "../../../src/db/transact.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

test("keeps one machine's entries in their order and as they are", async () => {
  const machineId = randomUUID();
  const entries: HistoryEntry[] = [
    { machineId, actor: "a", kind: "machine_created", detail: {} },
    { machineId: randomUUID(), actor: "b", kind: "machine_created", detail: {} },
    { machineId, actor: 'c,"\\', kind: "machine_provided", detail: { address: null, location: '{"é😀,\\"}' } },
  ];
  const before = Date.now();
  await transact(database.db, (tx) => appendHistory(tx, entries));
  const history = await listHistory(database.db, machineId);
  expect(history).toMatchObject([entries[0], entries[2]]);
  for (const { at } of history) expect(at.getTime()).toBeGreaterThanOrEqual(before - 1);
});

test("writes nothing with a transaction that fails", async () => {
  const machineId = randomUUID();
  const failing = transact(database.db, async (tx) => {
    await appendHistory(tx, [{ machineId, actor: "a", kind: "machine_created", detail: {} }]);
    throw new Error("later");
  });
  await expect(failing).rejects.toThrow("later");
  expect(await listHistory(database.db, machineId)).toEqual([]);
});
