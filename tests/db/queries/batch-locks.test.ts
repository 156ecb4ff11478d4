/**
 * Changes of many machines at once take them in one order. These transactions have no second try, so that a deadlock
 * fails whomever PostgreSQL picks.
 */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Transaction } from "../../../src/db/client.ts";
import { registerNewAgents } from "../../../src/db/queries/agent-key.ts";
import { writeHeartbeats } from "../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { createTaggedMachines } from "../../../src/db/queries/machine-creation.ts";
import { setLabels } from "../../../src/db/queries/machine-label.ts";
import { requestInstallations } from "../../../src/db/queries/os-installation-request.ts";
import { replaceProvided } from "../../../src/db/queries/provided.ts";
import { runTransaction } from "../../../src/db/transaction.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { encodeTestImage } from "../../support/machine.ts";
import { newPublicKey, withClient } from "../../support/seed.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const once = <T>(work: (tx: Transaction) => Promise<T>) =>
  runTransaction(database.db, "isolation level read committed", work);
const ignore = () => {};
const newIds = (count: number) => Array.from({ length: count }, () => randomUUID());
const create = (ids: readonly string[]) =>
  once((tx) =>
    createTaggedMachines(
      tx,
      ids.map((machineId) => ({ machineId, labels: {}, provided: undefined })),
      "test",
      ignore,
    ),
  );
const newKey = () => Buffer.from(newPublicKey(), "hex");

type Change = (tx: Transaction, machineIds: readonly string[]) => Promise<unknown>;

const changes: Readonly<Record<string, Change>> = {
  labels: (tx, ids) =>
    setLabels(
      tx,
      ids.map((machineId) => ({ machineId, labels: { rack: randomUUID() } })),
      "test",
      ignore,
    ),
  "provider's data": (tx, ids) =>
    replaceProvided(
      tx,
      ids.map((machineId) => ({ machineId, provided: { machineId, provider: "a", providerId: randomUUID() } })),
      "test",
      ignore,
    ),
  "agents' keys": (tx, ids) =>
    registerNewAgents(
      tx,
      ids.map((machineId) => ({ machineId, publicKey: newKey() })),
      "test",
      ignore,
    ),
  installations: (tx, ids) =>
    requestInstallations(
      tx,
      ids.map((machineId) => ({ machineId, encode: encodeTestImage })),
      "test",
      ignore,
    ),
};

test.each(Object.entries(changes))("batches of %s in opposite order do not deadlock", async (_name, change) => {
  for (let round = 0; round < 3; round++) {
    const machineIds = newIds(60);
    await create(machineIds);
    await Promise.all([once((tx) => change(tx, machineIds)), once((tx) => change(tx, machineIds.toReversed()))]);
  }
});

test("batches that create the same machines in opposite order do not deadlock, and each is created once", async () => {
  for (let round = 0; round < 5; round++) {
    const machineIds = newIds(60);
    const created = await Promise.all([create(machineIds), create(machineIds.toReversed())]);
    expect(created.flat().toSorted()).toEqual(machineIds.toSorted());
  }
});

test("one key and one provider's id for machines of two batches: no deadlock, and each has one owner", async () => {
  const [these, those] = [newIds(40), newIds(40)];
  await create([...these, ...those]);
  const keys = these.map(newKey);
  const register = (machineIds: readonly string[], publicKeys: readonly Uint8Array[]) =>
    once((tx) =>
      registerNewAgents(
        tx,
        machineIds.map((machineId, index) => ({ machineId, publicKey: publicKeys[index] as Uint8Array })),
        "test",
        ignore,
      ),
    );
  const results = await Promise.allSettled([register(these, keys), register(those.toReversed(), keys.toReversed())]);
  // The later one sees the keys taken, or waits and is told to try again.
  const names = results.map((result) => (result.status === "rejected" ? result.reason.name : "done"));
  expect(names).toContain("done");
  expect(names.filter((name) => name !== "done" && name !== "ContentionError")).toEqual([]);
});

test("installations are requested under a storm of heartbeats of the same machines without a deadlock", async () => {
  const agents = newIds(50).map((machineId) => ({ machineId, publicKey: newKey() }));
  const machineIds = agents.map(({ machineId }) => machineId);
  await create(machineIds);
  await once((tx) => registerNewAgents(tx, agents, "test", ignore));
  const sorted = agents.toSorted((a, b) => (a.machineId < b.machineId ? -1 : 1));
  let requested = false;
  const storm = withClient(database.url, async (client) => {
    let given = 0;
    for (let isOver = false; !isOver; isOver = requested) {
      const answers = await writeHeartbeats(client, sorted);
      given += answers.filter((answer) => answer.kind === "counted").length;
    }
    return given;
  });
  const requesting = (async () => {
    for (let round = 0; round < 8; round++) {
      const generations = await once((tx) =>
        requestInstallations(
          tx,
          machineIds.toReversed().map((machineId) => ({ machineId, encode: encodeTestImage })),
          "test",
          ignore,
        ),
      );
      expect(generations.size).toBe(50);
    }
  })().finally(() => {
    requested = true;
  });
  const [given] = await Promise.all([storm, requesting]);
  expect(given).toBeGreaterThan(0);
});
