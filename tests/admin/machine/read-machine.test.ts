/** Machines that a change answers with. */
import { randomUUID } from "node:crypto";
import { afterAll, expect, test, vi } from "vitest";
import { readMachines } from "../../../src/admin/machine/read-machine.ts";
import { createMachines } from "../../../src/db/queries/machine.ts";
import { transact } from "../../../src/db/transact.ts";
import { createTestDatabase } from "../../support/database.ts";

const database = await createTestDatabase();
afterAll(() => database.close());

test("a batch's machines are read some at a time, since each can have half a megabyte of user data", async () => {
  const { db } = database;
  const ids = Array.from({ length: 300 }, () => randomUUID());
  await transact(db, (tx) => createMachines(tx, ids, "test"));
  const query = vi.spyOn(db.$client, "query");
  const machines = await readMachines(db, [...ids, randomUUID()]);
  expect([...machines.keys()].toSorted()).toEqual(ids.toSorted());
  const answers = await Promise.all(query.mock.results.map(({ value }) => value));
  expect(Math.max(...answers.map(({ rows }) => rows.length))).toBeLessThanOrEqual(128);
});
