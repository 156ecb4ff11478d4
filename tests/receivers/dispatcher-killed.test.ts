/**
 * A dispatcher that is killed loses nothing, whichever step of a delivery it dies in: another process continues within
 * seconds, and a message that is sent again has the same id. Real processes are killed; locks that the test holds stop
 * them at the step in question.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "drizzle-orm";
import pg from "pg";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import { bareMachine } from "../support/machine.ts";
import { observe } from "../support/observer.ts";
import { allowLoopback, createReceiver, endWaits, readDeliveries, recordEvent } from "../support/receivers.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { waitForBlockedSessions, waitUntil } from "../support/wait.ts";
import { answers, type ReceivedMessage, startReceiver } from "../support/webhook-receiver.ts";
import { listWorkers, startWithWorkers } from "../support/worker-processes.ts";

const database = await createTestDatabase();
const { db } = database;
afterAll(() => database.close());

const start = () => startServerProcess({ DATABASE_URL: database.url, ...allowLoopback, BMAAS_LOG_LEVEL: "debug" });
const isDispatcher = ({ logged }: ServerProcess) =>
  logged.some(({ msg }) => msg === "this process sends events to receivers");

/** Two servers, of which the first is the dispatcher of a receiver, and a machine whose creation has arrived. */
async function prepare(events = ["machine.*"]) {
  const receiver = await startReceiver();
  const dispatcher = await start();
  onTestFinished(() => void dispatcher.stop());
  const name = `r-${randomUUID().slice(0, 8)}`;
  await createReceiver(db, dispatcher.adminUrl, { name, url: receiver.url, events });
  onTestFinished(async () => void (await db.execute(sql`delete from receiver where name = ${name}`)));
  await waitUntil("it is the dispatcher", () => isDispatcher(dispatcher));
  const other = await start();
  onTestFinished(() => void other.stop());
  const machineId = await bareMachine(db);
  await waitUntil("the creation is delivered", async () =>
    (await readDeliveries(database, name)).some(({ state }) => state === "delivered"),
  );
  return { receiver, dispatcher, other, name, machineId };
}

/**
 * Keeps everybody from writing deliveries until `release`. A lock of rows would have a transaction number, and events
 * are read only up to the oldest of those.
 */
async function stopWrites(): Promise<{ client: pg.Client; release(): Promise<void> }> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const release = async () => void (await client.query("commit"));
  onTestFinished(async () => void (await release().then(() => client.end())));
  await client.query("begin");
  await client.query("lock table receiver_delivery in share mode");
  return { client, release };
}

const numbersOf = (messages: readonly ReceivedMessage[]) =>
  messages
    .filter(({ type }) => type === "machine.labelled")
    .map(({ data }) => Number((data.detail as { number: string }).number));
const idsOf = (messages: readonly ReceivedMessage[]) =>
  messages.filter(({ type }) => type === "machine.labelled").map(({ id }) => id);

/** Leaves out what was sent again at once, as attempts are that a busy machine does not end within their time limit. */
const withoutRepeats = <T>(items: readonly T[]) => items.filter((item, index) => item !== items[index - 1]);

async function expectAllDelivered(name: string, events: number): Promise<void> {
  await endWaits(db, name);
  await waitUntil(
    "everything is delivered",
    async () => {
      const deliveries = await readDeliveries(database, name);
      return deliveries.length === events && deliveries.every(({ state }) => state === "delivered");
    },
    60_000,
  );
}

describe("a dispatcher that is killed", { timeout: 180_000 }, () => {
  test("before events have become deliveries", async () => {
    const { receiver, dispatcher, other, name, machineId } = await prepare();
    // Its transaction has read the event, and cannot write.
    const { client, release } = await stopWrites();
    await recordEvent(db, machineId, 1);
    await waitForBlockedSessions(client, 1);
    dispatcher.kill("SIGKILL");
    await dispatcher.ended;
    await release();
    await waitUntil("the other continues", () => isDispatcher(other));
    await receiver.waitFor(2);
    await expectAllDelivered(name, 2);
    expect(numbersOf(receiver.messages)).toEqual([1]);
  });

  test("before it has sent a delivery", async () => {
    const { receiver, dispatcher, other, name, machineId } = await prepare();
    await db.execute(sql`update receiver set retry_at = now() + interval '1 hour' where name = ${name}`);
    await recordEvent(db, machineId, 1);
    await waitUntil("it is a delivery", async () => (await readDeliveries(database, name)).length === 2);
    dispatcher.kill("SIGKILL");
    await dispatcher.ended;
    await endWaits(db, name);
    await receiver.waitFor(2);
    expect(isDispatcher(other)).toBe(true);
    await expectAllDelivered(name, 2);
    expect(numbersOf(receiver.messages)).toEqual([1]);
  });

  test("while the receiver thinks about its answer", async () => {
    const { receiver, dispatcher, name, machineId } = await prepare();
    receiver.answer(answers.stall);
    await recordEvent(db, machineId, 1);
    await recordEvent(db, machineId, 2);
    await receiver.waitFor(2);
    dispatcher.kill("SIGKILL");
    await dispatcher.ended;
    const sentBefore = receiver.messages.length;
    receiver.answer(answers.accept);
    await receiver.waitFor(sentBefore + 2);
    await expectAllDelivered(name, 3);
    expect(numbersOf(receiver.messages.slice(0, sentBefore))).toContain(1);
    expect(withoutRepeats(numbersOf(receiver.messages.slice(sentBefore)))).toEqual([1, 2]);
    expect(withoutRepeats(numbersOf(receiver.messages))).toEqual([1, 2]);
    expect(withoutRepeats(idsOf(receiver.messages))).toHaveLength(2);
  });

  test("when the receiver has answered, before that is recorded", async () => {
    const { receiver, dispatcher, name, machineId } = await prepare();
    receiver.answer(answers.stall);
    await recordEvent(db, machineId, 1);
    await receiver.waitFor(2);
    const { client, release } = await stopWrites();
    receiver.answer(answers.accept);
    receiver.release();
    await waitForBlockedSessions(client, 1);
    const sentBefore = receiver.messages.length;
    dispatcher.kill("SIGKILL");
    await dispatcher.ended;
    await release();
    await receiver.waitFor(sentBefore + 1);
    await expectAllDelivered(name, 2);
    const ids = idsOf(receiver.messages);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });

  test("when a delivery is recorded: it is not sent again", async () => {
    const { receiver, dispatcher, other, name, machineId } = await prepare();
    await recordEvent(db, machineId, 1);
    await expectAllDelivered(name, 2);
    dispatcher.kill("SIGKILL");
    await dispatcher.ended;
    await waitUntil("the other continues", () => isDispatcher(other));
    await recordEvent(db, machineId, 2);
    await receiver.waitFor(3);
    await expectAllDelivered(name, 3);
    expect(numbersOf(receiver.messages)).toEqual([1, 2]);
  });
});

test("a dispatcher that stands still loses the lease, and does not send when it wakes up", {
  timeout: 180_000,
}, async () => {
  const { receiver, dispatcher, other, name, machineId } = await prepare();
  dispatcher.kill("SIGSTOP");
  onTestFinished(() => dispatcher.kill("SIGCONT"));
  await recordEvent(db, machineId, 1);
  await waitUntil("the other continues", () => isDispatcher(other));
  await receiver.waitFor(2);
  dispatcher.kill("SIGCONT");
  await recordEvent(db, machineId, 2);
  await expectAllDelivered(name, 3);
  await delay(1_500);
  expect(numbersOf(receiver.messages)).toEqual([1, 2]);
  const [row] = await observe(database)`select holder from receiver_dispatch`;
  expect(row?.holder).not.toBeNull();
});

test("a dispatcher that shuts down hands over at once", { timeout: 180_000 }, async () => {
  const { receiver, dispatcher, other, machineId } = await prepare();
  expect(await dispatcher.stop()).toBe(0);
  await recordEvent(db, machineId, 1);
  await receiver.waitFor(2);
  expect(isDispatcher(other)).toBe(true);
});

test("dispatchers that die again and again lose nothing, and keep the order of each machine", {
  timeout: 300_000,
}, async () => {
  const { receiver, name, dispatcher, other } = await prepare(["machine.labelled", "machine.created"]);
  const machineIds = await Promise.all(Array.from({ length: 5 }, () => bareMachine(db)));
  let [victim, survivor] = [dispatcher, other];
  for (let round = 0; round < 3; round++) {
    for (let number = 1; number <= 10; number++) {
      for (const machineId of machineIds) await recordEvent(db, machineId, round * 10 + number);
      if (number === 5) victim.kill("SIGKILL");
    }
    await victim.ended;
    await waitUntil("another continues", () => isDispatcher(survivor));
    const next = await start();
    onTestFinished(() => void next.stop());
    [victim, survivor] = [survivor, next];
  }
  await expectAllDelivered(name, 1 + 5 + 150);
  for (const machineId of machineIds) {
    const own = receiver.messages.filter((message) => message.machineId === machineId);
    // A message that came twice has one id, and the first of each come in order.
    const numberOfId = new Map(own.map(({ id, data }) => [id, (data.detail as { number?: string }).number]));
    expect([...numberOfId.values()].filter(Boolean).map(Number)).toEqual(
      Array.from({ length: 30 }, (_, index) => index + 1),
    );
  }
});

test("of several workers one is the dispatcher, and another continues when it is killed", {
  timeout: 180_000,
}, async () => {
  const receiver = await startReceiver();
  const server = await startWithWorkers(database, allowLoopback);
  onTestFinished(() => void server.stop());
  const name = `r-${randomUUID().slice(0, 8)}`;
  await createReceiver(db, server.adminUrl, { name, url: receiver.url, events: ["machine.created"] });
  const dispatchers = () => server.logged.filter(({ msg }) => msg === "this process sends events to receivers");
  await waitUntil("one of them is the dispatcher", () => dispatchers().length > 0);
  const machineId = await bareMachine(db);
  await waitUntil("its creation arrives", () => receiver.messages.some((message) => message.machineId === machineId));
  expect(dispatchers()).toHaveLength(1);
  const worker = Number(dispatchers()[0]?.pid);
  expect(await listWorkers(server)).toContain(worker);
  process.kill(worker, "SIGKILL");
  const second = await bareMachine(db);
  await waitUntil("the next creation arrives", () => receiver.messages.some((message) => message.machineId === second));
  expect(Number(dispatchers().at(-1)?.pid)).not.toBe(worker);
});
