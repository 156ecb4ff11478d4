import { afterAll, beforeAll, expect, test } from "vitest";
import { findReachedGenerations, maxGeneration } from "../../../src/db/queries/installation-generation.ts";
import {
  findInstallationRequests,
  findLatestInstallationRequests,
  requestInstallations,
} from "../../../src/db/queries/os-installation-request.ts";
import { osInstallationReport } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { bareMachine, readTags } from "../../support/machine.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const newMachine = () => bareMachine(database.db);

const encode = (generation: bigint) => Buffer.from(`request ${generation}`);

async function request(machineId: string, generation?: bigint): Promise<bigint | undefined> {
  const requests = [{ machineId, generation, encode }];
  return (await transact(database.db, (tx) => requestInstallations(tx, requests, "seed:test"))).get(machineId);
}

const latest = async (machineId: string) =>
  (await transact(database.db, (tx) => findLatestInstallationRequests(tx, [machineId])))[0];

test("generations start at 1, grow by one, and jump where one is given", async () => {
  const machineId = await newMachine();
  expect(await request(machineId)).toBe(1n);
  expect(await request(machineId)).toBe(2n);
  expect(await request(machineId, 123n)).toBe(123n);
  expect(await request(machineId)).toBe(124n);
  expect(await latest(machineId)).toMatchObject({ generation: 124n, cancelledAt: null, request: encode(124n) });
});

test.each([1n, 122n, 123n, 0n, -1n])("refuses generation %s after 123", async (generation) => {
  const machineId = await newMachine();
  await request(machineId, 123n);
  await expect(request(machineId, generation)).rejects.toMatchObject({
    name: "GenerationNotGrowingError",
    machineId,
    generation,
    latest: 123n,
  });
  expect(await latest(machineId)).toMatchObject({ generation: 123n });
});

test("keeps every bit of a 64-bit generation, and refuses to go beyond the last", async () => {
  const machineId = await newMachine();
  expect(await request(machineId, 2n ** 53n)).toBe(9007199254740992n);
  expect(await request(machineId)).toBe(9007199254740993n);
  expect(await request(machineId, maxGeneration)).toBe(9223372036854775807n);
  expect(await latest(machineId)).toMatchObject({ generation: maxGeneration });
  await expect(request(machineId)).rejects.toMatchObject({ name: "GenerationNotGrowingError", latest: maxGeneration });
});

test("a generation exceeds a reported one as well", async () => {
  const machineId = await newMachine();
  await request(machineId, 5n);
  const report = { machineId, generation: 9n, reportedAt: new Date(), result: "success", report: Buffer.of() } as const;
  await database.db.insert(osInstallationReport).values(report);
  await expect(request(machineId, 9n)).rejects.toMatchObject({ name: "GenerationNotGrowingError", latest: 9n });
  expect(await request(machineId)).toBe(10n);
  const reached = await transact(database.db, (tx) => findReachedGenerations(tx, [machineId]));
  expect(reached).toEqual(new Map([[machineId, 10n]]));
});

test("records who requested which generation", async () => {
  const machineId = await newMachine();
  await request(machineId, 2n ** 63n - 1n);
  expect((await readTags(database, machineId)).history.slice(1)).toMatchObject([
    { kind: "installation_requested", actor: "seed:test", detail: { generation: "9223372036854775807" } },
  ]);
});

test("finds exactly the requests that are named", async () => {
  const [one, two] = [await newMachine(), await newMachine()];
  await request(one, 1n);
  await request(one, 2n);
  await request(two, 3n);
  const names = [
    { machineId: one, generation: 1n },
    { machineId: one, generation: 3n },
    { machineId: two, generation: 3n },
  ];
  const found = await transact(database.db, (tx) => findInstallationRequests(tx, names));
  expect(found.map(({ machineId, generation }) => [machineId, generation]).sort()).toEqual(
    [
      [one, 1n],
      [two, 3n],
    ].sort(),
  );
});

test("operators who ask for the next generation at once get one each", async () => {
  const machineId = await newMachine();
  const generations = await Promise.all(Array.from({ length: 8 }, () => request(machineId)));
  expect(generations.sort()).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
});

test("one machine that is refused keeps all others from being asked", async () => {
  const [one, two] = [await newMachine(), await newMachine()];
  await request(two, 5n);
  const requests = [
    { machineId: one, encode },
    { machineId: two, generation: 5n, encode },
  ];
  const both = transact(database.db, (tx) => requestInstallations(tx, requests, "seed:test"));
  await expect(both).rejects.toMatchObject({ name: "GenerationNotGrowingError", machineId: two });
  expect(await latest(one)).toBeUndefined();
});
