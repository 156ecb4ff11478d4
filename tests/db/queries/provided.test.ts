import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findProvided, type ProvidedChange, setProvided } from "../../../src/db/queries/provided.ts";
import { transact } from "../../../src/db/transact.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { bareMachine, readTags } from "../../support/machine.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const newMachine = () => bareMachine(database.db);

const set = (...changes: ProvidedChange[]) => transact(database.db, (tx) => setProvided(tx, changes, "seed:test"));
const read = async (machineId: string) => (await transact(database.db, (tx) => findProvided(tx, [machineId])))[0];

test("creates, leaves alone and changes the tag, and records each write", async () => {
  const machineId = await newMachine();
  const providerId = randomUUID();
  const first = { machineId, provider: "a", providerId, location: "am6" };
  expect(await set(first)).toEqual(new Map([[machineId, "created"]]));
  expect(await set(first)).toEqual(new Map([[machineId, "unchanged"]]));
  expect(await set({ ...first, status: "running" })).toEqual(new Map([[machineId, "changed"]]));
  const stored = { provider: "a", providerId, reservation: null, address: null, location: "am6", status: "running" };
  expect(await read(machineId)).toEqual({ machineId, ...stored });
  expect((await readTags(database, machineId)).history.slice(1)).toMatchObject([
    { kind: "machine_provided", actor: "seed:test", detail: { ...stored, status: "unknown" } },
    { kind: "machine_provided", actor: "seed:test", detail: stored },
  ]);
});

test("keeps a field that is not given and takes away one that is null", async () => {
  const machineId = await newMachine();
  const names = { machineId, provider: "a", providerId: randomUUID() };
  const details = { reservation: "r", address: "192.0.2.1", location: "l", status: "running" } as const;
  await set({ ...names, ...details });
  expect(await set(names)).toEqual(new Map([[machineId, "unchanged"]]));
  expect(await set({ ...names, address: null })).toEqual(new Map([[machineId, "changed"]]));
  expect(await read(machineId)).toEqual({ ...names, ...details, address: null });
});

test("keeps texts as they are, whatever an array's syntax makes of them", async () => {
  const machineId = await newMachine();
  const change = {
    machineId,
    provider: 'a,"b"\\{}',
    providerId: "NULL",
    reservation: "null",
    location: "é😀",
    address: "",
  };
  await set(change);
  expect(await read(machineId)).toEqual({ ...change, status: "unknown" });
});

test("refuses an id of another machine, says whose it is, and writes nothing", async () => {
  const [holder, other, third] = [await newMachine(), await newMachine(), await newMachine()];
  const providerId = randomUUID();
  await set({ machineId: holder, provider: "a", providerId });
  const refused = set(
    { machineId: other, provider: "a", providerId },
    { machineId: third, provider: "a", providerId: randomUUID() },
  );
  await expect(refused).rejects.toMatchObject({ name: "ProviderIdInUseError", machineId: other, holderId: holder });
  expect(await read(other)).toBeUndefined();
  expect(await read(third)).toBeUndefined();
});

test("machines may change places at their provider", async () => {
  const [one, two] = [await newMachine(), await newMachine()];
  const ids = [randomUUID(), randomUUID()] as const;
  await set(
    { machineId: one, provider: "a", providerId: ids[0] },
    { machineId: two, provider: "a", providerId: ids[1] },
  );
  await set(
    { machineId: one, provider: "a", providerId: ids[1] },
    { machineId: two, provider: "a", providerId: ids[0] },
  );
  expect([(await read(one))?.providerId, (await read(two))?.providerId]).toEqual([ids[1], ids[0]]);
});

test("two operators who give one id to two machines at once: one is told whose it became", async () => {
  const machines = [await newMachine(), await newMachine()];
  const providerId = randomUUID();
  const results = await Promise.allSettled(machines.map((machineId) => set({ machineId, provider: "a", providerId })));
  const winner = machines[results.findIndex(({ status }) => status === "fulfilled")];
  const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  expect(refused).toMatchObject([{ name: "ProviderIdInUseError", holderId: winner }]);
});

test("refuses a machine that does not exist", async () => {
  const machineId = randomUUID();
  await expect(set({ machineId, provider: "a", providerId: "x" })).rejects.toMatchObject({
    name: "MachineNotFoundError",
    machineId,
  });
});
