import { eq, inArray } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { registerAgents } from "../../../src/db/queries/agent-started.ts";
import type { HeartbeatRow } from "../../../src/db/queries/heartbeat/heartbeat-row.ts";
import { writeHeartbeats } from "../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { agentStarted } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { runTransaction } from "../../../src/db/transaction.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { bareMachine, readTags } from "../../support/machine.ts";
import { newPublicKey, withClient } from "../../support/seed.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const newMachine = () => bareMachine(database.db);

const register = (...agents: [machineId: string, publicKey: string][]) =>
  transact(database.db, (tx) =>
    registerAgents(
      tx,
      agents.map(([machineId, key]) => ({ machineId, publicKey: Buffer.from(key, "hex") })),
      "seed:test",
    ),
  );

async function keysOf(...machineIds: string[]): Promise<(string | undefined)[]> {
  const rows = await database.db.select().from(agentStarted).where(inArray(agentStarted.machineId, machineIds));
  const keys = new Map(rows.map((row) => [row.machineId, Buffer.from(row.publicKey).toString("hex")]));
  return machineIds.map((machineId) => keys.get(machineId));
}

const heartbeat = (row: HeartbeatRow) =>
  withClient(database.url, async (client) => (await writeHeartbeats(client, [row]))[0]?.kind);

test("registers, leaves alone and replaces a key, and records each write", async () => {
  const machineId = await newMachine();
  const [first, second] = [newPublicKey(), newPublicKey()];
  expect(await register([machineId, first])).toEqual(new Map([[machineId, "created"]]));
  const [{ startedAt } = {}] = await database.db
    .select()
    .from(agentStarted)
    .where(eq(agentStarted.machineId, machineId));
  expect(await register([machineId, first])).toEqual(new Map([[machineId, "unchanged"]]));
  expect(await database.db.select().from(agentStarted).where(eq(agentStarted.machineId, machineId))).toMatchObject([
    { startedAt },
  ]);
  expect(await register([machineId, second])).toEqual(new Map([[machineId, "changed"]]));
  expect(await keysOf(machineId)).toEqual([second]);
  expect((await readTags(database, machineId)).history.slice(1)).toMatchObject([
    { kind: "agent_registered", actor: "seed:test", detail: { publicKey: first } },
    { kind: "agent_replaced", actor: "seed:test", detail: { publicKey: second, previousPublicKey: first } },
  ]);
});

test("a new key starts with any nonce, and an unchanged one keeps what it must exceed", async () => {
  const machineId = await newMachine();
  const [first, second] = [newPublicKey(), newPublicKey()];
  const send = (key: string, signatureNonce: bigint) =>
    heartbeat({ machineId, publicKey: Buffer.from(key, "hex"), signatureNonce });
  await register([machineId, first]);
  expect(await send(first, 1_000n)).toBe("counted");
  await register([machineId, first]);
  expect(await send(first, 1_000n)).toBe("replayed");
  await register([machineId, second]);
  expect((await readTags(database, machineId)).heartbeat).toBeUndefined();
  expect(await send(first, 2_000n)).toBe("unauthenticated");
  expect(await send(second, 1n)).toBe("counted");
});

test("a key that is registered after another one was revoked starts with any nonce", async () => {
  const machineId = await newMachine();
  const [first, second] = [newPublicKey(), newPublicKey()];
  await register([machineId, first]);
  await heartbeat({ machineId, publicKey: Buffer.from(first, "hex"), signatureNonce: 1_000n });
  await database.db.delete(agentStarted).where(eq(agentStarted.machineId, machineId));
  await register([machineId, second]);
  expect(await heartbeat({ machineId, publicKey: Buffer.from(second, "hex"), signatureNonce: 1n })).toBe("counted");
});

test("refuses a key of another machine, says whose it is, and writes nothing", async () => {
  const [holder, other, third] = [await newMachine(), await newMachine(), await newMachine()];
  const [key, kept] = [newPublicKey(), newPublicKey()];
  await register([holder, key], [other, kept]);
  const refused = register([other, key], [third, newPublicKey()]);
  await expect(refused).rejects.toMatchObject({ name: "PublicKeyInUseError", machineId: other, holderId: holder });
  expect(await keysOf(holder, other, third)).toEqual([key, kept, undefined]);
});

test("keys may change places between machines", async () => {
  const [one, two] = [await newMachine(), await newMachine()];
  const [first, second] = [newPublicKey(), newPublicKey()];
  await register([one, first], [two, second]);
  await register([one, second], [two, first]);
  expect(await keysOf(one, two)).toEqual([second, first]);
});

test("two operators who give one key to two machines at once: one is told whose it became", async () => {
  const machines = [await newMachine(), await newMachine()];
  const key = newPublicKey();
  const results = await Promise.allSettled(machines.map((machineId) => register([machineId, key])));
  const winner = machines[results.findIndex(({ status }) => status === "fulfilled")];
  const refused = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  expect(refused).toMatchObject([{ name: "PublicKeyInUseError", holderId: winner }]);
});

test("takes machines in id order, as heartbeats do, whatever order they are given and stored in", async () => {
  const [low = "", high = ""] = [await newMachine(), await newMachine()].sort();
  await register([high, newPublicKey()], [low, newPublicKey()]);
  await withClient(database.url, async (client) => {
    await client.query("begin");
    await client.query("select from agent_started where machine_id = $1 for no key update", [low]);
    const replacing = register([high, newPublicKey()], [low, newPublicKey()]);
    const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    await expect.poll(async () => (await client.query(waiting)).rowCount).toBe(1);
    await client.query("select from agent_started where machine_id = $1 for no key update nowait", [high]);
    await client.query("commit");
    await replacing;
  });
});

test("keys are replaced under a storm of heartbeats of the same machines without a deadlock", async () => {
  const machineIds = (await Promise.all(Array.from({ length: 50 }, newMachine))).sort();
  const agents = machineIds.map((machineId) => ({ machineId, publicKey: Buffer.from(newPublicKey(), "hex") }));
  // Without transact's second tries, so that a deadlock fails whomever PostgreSQL picks.
  const replace = (wanted: typeof agents) =>
    runTransaction(database.db, "isolation level read committed", (tx) =>
      registerAgents(tx, wanted.toReversed(), "test"),
    );
  await replace(agents);
  let replaced = false;
  let counted = 0;
  const storm = withClient(database.url, async (client) => {
    while (!replaced)
      counted += (await writeHeartbeats(client, agents)).filter(({ kind }) => kind === "counted").length;
  });
  await expect.poll(() => counted).toBeGreaterThan(0);
  const replacing = (async () => {
    for (let round = 0; round < 10; round++) {
      await replace(agents.map(({ machineId }) => ({ machineId, publicKey: Buffer.from(newPublicKey(), "hex") })));
      await replace(agents);
    }
  })().finally(() => {
    replaced = true;
  });
  await Promise.all([storm, replacing]);
});
