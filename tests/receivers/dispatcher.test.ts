/** What receivers are sent: every event once and in order, whatever other receivers and other machines do. */
import { randomUUID } from "node:crypto";
import { sql } from "drizzle-orm";
import pg from "pg";
import { beforeAll, expect, test } from "vitest";
import { HealthEffect, HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { HealthSeverity } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { ReceiverService } from "../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { beginElsewhere, createTestDatabase } from "../support/database.ts";
import { bareMachine } from "../support/machine.ts";
import { scrape } from "../support/metrics.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import {
  allowLoopback,
  createReceiver,
  endWaits,
  letDayPass,
  readDeliveries,
  recordEvent,
} from "../support/receivers.ts";
import { startTestServer } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";
import { answers, isSignedWith, type ReceivedMessage, startReceiver } from "../support/webhook-receiver.ts";

const database = await createTestDatabase();
const { db } = database;
const server = await startTestServer(database.url, allowLoopback);
const { secret: token } = await tokenOf(db, "admin");
const receivers = adminClient(ReceiverService, server.adminUrl, token);

beforeAll(() => async () => {
  await server.close();
  await database.close();
});

/** Makes every rest of a receiver last for an hour, so that none ends before a test ends it. */
async function lengthenRests(name: string): Promise<void> {
  await db.execute(
    sql.raw(`
    create function lengthen_rest() returns trigger language plpgsql as $$
      begin
        if new.failures >= 5 and new.failures > old.failures then new.retry_at := now() + interval '1 hour'; end if;
        return new;
      end $$;
    create trigger lengthen_rest before update on receiver
      for each row when (old.name = '${name}') execute function lengthen_rest()`),
  );
}

/** Creates a receiver with a name of its own. */
async function create(url: string, events: string[]) {
  const name = `r-${randomUUID().slice(0, 8)}`;
  return { name, secret: await createReceiver(db, server.adminUrl, { name, url, events }) };
}

const find = async (name: string) => (await receivers.listReceivers({})).receivers.find((each) => each.name === name);
const numbersOf = (messages: readonly ReceivedMessage[], machineId: string) =>
  messages
    .filter((message) => message.machineId === machineId && message.type === "machine.labelled")
    .map(({ data }) => Number((data.detail as { number: string }).number));

test("an event waits for no transaction of another database of the server", async () => {
  await using _elsewhere = await beginElsewhere();
  const { url, waitFor } = await startReceiver();
  await create(url, ["machine.labelled"]);
  await recordEvent(db, await bareMachine(db), 1);
  expect(await waitFor(1)).toHaveLength(1);
});

test("an event arrives signed, in the words of the history, with who the machine is", async () => {
  const { url, waitFor } = await startReceiver();
  const { name, secret } = await create(url, ["machine.labelled"]);
  const { secret: operator } = await tokenOf(db, "operator");
  const machines = adminClient(MachineService, server.adminUrl, operator);
  const { machine } = await machines.createMachine({
    provided: { provider: "lab", providerId: name, location: "basement" },
  });
  const machineId = machine?.id ?? "";
  await machines.setLabels({ machineId, set: { rack: "r12" } });
  const [message] = await waitFor(1);
  if (message === undefined) throw new Error("nothing arrived");
  expect(isSignedWith(secret, message)).toBe(true);
  const [row] = (
    await db.execute(sql`
    select actor, detail, at from machine_history where machine_id = ${machineId} and kind = 'machine_labelled'`)
  ).rows;
  const at = new Date(String(row?.at)).toISOString();
  expect(JSON.parse(message.body)).toEqual({
    type: "machine.labelled",
    timestamp: at,
    data: {
      machineId,
      provider: "lab",
      providerId: name,
      location: "basement",
      labels: { rack: "r12" },
      state: "no_agent",
      muted: false,
      text: expect.stringMatching(
        new RegExp(`^machine ${machineId} \\(lab ${name}\\): machine_labelled by token:\\S+: `),
      ),
      kind: "machine_labelled",
      actor: row?.actor,
      detail: row?.detail,
    },
  });
  const [delivery] = await readDeliveries(database, name);
  await waitUntil("it is recorded", async () => (await find(name))?.waitingDeliveries === 0n);
  expect(delivery?.id).toBe(message.id);
});

test.each(["hold", "health alert"])("an event says that a %s mutes the machine", async (way) => {
  const { url, waitFor } = await startReceiver();
  await create(url, ["machine.labelled"]);
  const machineId = await bareMachine(db);
  if (way === "hold") {
    const machines = adminClient(MachineService, server.adminUrl, token);
    await machines.setHold({ machineId, reason: "on a bench", mute: true });
  } else {
    const health = adminClient(HealthService, server.adminUrl, token);
    const alerts = [{ id: "fan", severity: HealthSeverity.WARNING, effects: [HealthEffect.MUTE] }];
    await health.putHealth({ machineId, source: "bmc", alerts, ttl: { seconds: 3600n } });
  }
  await recordEvent(db, machineId, 1);
  expect(await waitFor(1)).toMatchObject([{ machineId, data: { muted: true } }]);
});

test("a receiver is sent what it chooses, and what happened after it was created", async () => {
  const machineId = await bareMachine(db);
  await recordEvent(db, machineId, 1);
  const [chosen, all] = [await startReceiver(), await startReceiver()];
  await create(chosen.url, ["installation.*", "machine.deleted"]);
  await create(all.url, ["*"]);
  await recordEvent(db, machineId, 2);
  await adminClient(MachineService, server.adminUrl, token).deleteMachine({ machineId });
  await waitUntil("the deletion arrives", () => all.messages.some(({ type }) => type === "machine.deleted"));
  expect(numbersOf(all.messages, machineId)).toEqual([2]);
  const [deletion] = await chosen.waitFor(1);
  expect(deletion).toMatchObject({ type: "machine.deleted", machineId, data: { labels: {}, state: "" } });
  expect(chosen.messages).toHaveLength(1);
});

test("events of one machine arrive in order though attempts fail, and others are not held up", async () => {
  const [poisoned, other] = [await bareMachine(db), await bareMachine(db)];
  const receiver = await startReceiver((message, response) =>
    (message.machineId === poisoned ? answers.refuse : answers.accept)(message, response),
  );
  const { name } = await create(receiver.url, ["machine.labelled"]);
  for (const number of [1, 2, 3]) {
    await recordEvent(db, poisoned, number);
    await recordEvent(db, other, number);
  }
  await waitUntil("the other machine's arrive", () => numbersOf(receiver.messages, other).length === 3);
  expect(numbersOf(receiver.messages, other)).toEqual([1, 2, 3]);
  expect(new Set(numbersOf(receiver.messages, poisoned))).toEqual(new Set([1]));
  receiver.answer(answers.accept);
  await endWaits(db, name);
  await waitUntil("all arrive", () => numbersOf(receiver.messages, poisoned).includes(3));
  const arrived = numbersOf(receiver.messages, poisoned);
  expect(arrived.filter((number, index) => number !== arrived[index - 1])).toEqual([1, 2, 3]);
  const ids = receiver.messages.filter(({ machineId }) => machineId === poisoned).map(({ id }) => id);
  expect(new Set(ids).size).toBe(3);
  const listed = await receivers.listDeliveries({ name });
  const first = listed.deliveries.findLast(({ machineId }) => machineId === poisoned);
  expect(first?.lastAttempts.at(-1)).toMatchObject({ status: 500, error: "answered 500", answer: "out of order" });
});

test("a receiver that never answers holds up no other", { timeout: 300_000 }, async () => {
  // On a machine that stands still, attempts at the slow one can end in the meantime, by their time limit.
  for (let haveEnded = true; haveEnded; ) {
    haveEnded = false;
    const stalled = await startReceiver((_message, response) => {
      response.on("close", () => {
        haveEnded = true;
      });
    });
    const quick = await startReceiver();
    const slow = await create(stalled.url, ["machine.labelled"]);
    await create(quick.url, ["machine.labelled"]);
    const machineIds = await Promise.all(Array.from({ length: 12 }, () => bareMachine(db)));
    for (const machineId of machineIds) await recordEvent(db, machineId, 1);
    await stalled.waitFor(8);
    await quick.waitFor(12);
    await recordEvent(db, machineIds[0] ?? "", 2);
    await quick.waitFor(13);
    // All attempts of the slow one are still under way, and as many as it may have at once.
    if (!haveEnded) expect(stalled.messages).toHaveLength(8);
    await receivers.deleteReceiver({ name: slow.name });
  }
});

test("a receiver that fails again and again is called by one message at a time, and gets all when it is back", async () => {
  const machineIds = await Promise.all(Array.from({ length: 20 }, () => bareMachine(db)));
  const receiver = await startReceiver(answers.refuse);
  const { name } = await create(receiver.url, ["machine.labelled"]);
  await lengthenRests(name);
  for (const machineId of machineIds) await recordEvent(db, machineId, 1);
  await waitUntil("it rests", async () => Number((await find(name))?.failures) >= 5);
  await waitUntil("no attempt is under way", async () => {
    const attempts = (await readDeliveries(database, name)).map((delivery) => delivery.attempts);
    return attempts.reduce((sum, each) => sum + each) === receiver.messages.length;
  });
  // Up to eight were under way when the fifth failed.
  expect(receiver.messages.length).toBeLessThanOrEqual(13);
  let [underWay, most] = [0, 0];
  receiver.answer((message, response) => {
    most = Math.max(most, ++underWay);
    setTimeout(() => {
      underWay--;
      answers.refuse(message, response);
    }, 100);
  });
  const before = receiver.messages.length;
  await db.execute(sql`update receiver set retry_at = now() where name = ${name}`);
  await receiver.waitFor(before + 1);
  expect(most).toBe(1);
  receiver.answer(answers.accept);
  await waitUntil("everything is delivered", async () => {
    // One success suffices for all, whose own waits are longer.
    await db.execute(sql`update receiver set retry_at = null where name = ${name}`);
    return (await readDeliveries(database, name)).every(({ state }) => state === "delivered");
  });
  expect(await find(name)).toMatchObject({ failures: 0n, failing: false, waitingDeliveries: 0n });
});

test("after a day of failures it is failing, what waited a day is given up, and an operator has it sent again", async () => {
  const machineId = await bareMachine(db);
  const receiver = await startReceiver(answers.refuse);
  const { name } = await create(receiver.url, ["machine.labelled"]);
  for (const number of [1, 2, 3]) await recordEvent(db, machineId, number);
  await receiver.waitFor(1);
  await waitUntil("the failure is recorded", async () => Number((await find(name))?.failures) >= 1);
  expect((await find(name))?.failing).toBe(false);
  await letDayPass(db, name);
  expect(await find(name)).toMatchObject({ failing: true, lastError: "answered 500" });
  await recordEvent(db, machineId, 4);
  await waitUntil("the newest waits", async () => (await readDeliveries(database, name)).length === 4);
  // Each is tried once more, and given up by that. The newest has its day before it.
  await waitUntil("the old ones are given up", async () => {
    await endWaits(db, name);
    const states = (await readDeliveries(database, name)).map(({ state }) => state);
    return states.join() === "given_up,given_up,given_up,waiting";
  });
  const listed = await receivers.listDeliveries({ name, states: [3] });
  expect(listed.deliveries.map(({ endTime }) => endTime !== undefined)).toEqual([true, true, true]);
  await waitUntil("metrics say so", async () => {
    const page = await scrape(server.adminUrl, token);
    return (
      (page.find("bmaas_receivers_failing") ?? 0) >= 1 &&
      (page.find("bmaas_receiver_deliveries_total", { outcome: "given_up" }) ?? 0) >= 3
    );
  });
  const ids = (await readDeliveries(database, name)).map(({ id }) => id);
  receiver.answer(answers.accept);
  const before = receiver.messages.length;
  expect(await receivers.resendDeliveries({ name })).toMatchObject({ deliveries: 3 });
  await waitUntil("all are delivered", async () => {
    await endWaits(db, name);
    return (await readDeliveries(database, name)).every(({ state }) => state === "delivered");
  });
  const resent = receiver.messages.slice(before).filter((message) => message.machineId === machineId);
  expect(resent.map(({ id }) => id).filter((id, index, all) => id !== all[index - 1])).toEqual(ids);
  expect(await find(name)).toMatchObject({ failing: false });
});

test("what is committed late is not missed, though its number is lower", async () => {
  const machineId = await bareMachine(db);
  const receiver = await startReceiver();
  await create(receiver.url, ["machine.labelled"]);
  const late = new pg.Client({ connectionString: database.url });
  await late.connect();
  await late.query("begin");
  await late.query(
    `insert into machine_history (machine_id, actor, kind, detail) values ($1, 'test', 'machine_labelled', '{"number": "1"}')`,
    [await bareMachine(db)],
  );
  await recordEvent(db, machineId, 2);
  await late.query("commit");
  await late.end();
  const messages = await receiver.waitFor(2);
  expect(new Set(messages.map(({ data }) => (data.detail as { number: string }).number))).toEqual(new Set(["1", "2"]));
});

test("a deleted receiver is sent nothing more", async () => {
  const machineId = await bareMachine(db);
  const receiver = await startReceiver(answers.refuse);
  const { name } = await create(receiver.url, ["machine.labelled"]);
  await recordEvent(db, machineId, 1);
  await receiver.waitFor(1);
  await receivers.deleteReceiver({ name });
  await waitUntil("its deliveries are deleted", async () => {
    const { rows } = await db.execute(sql`select from receiver_delivery where payload like ${`%${machineId}%`}
      and receiver_id not in (select id from receiver)`);
    return rows.length === 0;
  });
  expect(await find(name)).toBeUndefined();
});

test("a clock that was set back by hours stops neither the dispatcher nor what waits to be sent", async () => {
  const ahead = sql`now() + interval '3 hours'`;
  const machineId = await bareMachine(db);
  const receiver = await startReceiver(answers.refuse);
  const { name } = await create(receiver.url, ["machine.labelled"]);
  await recordEvent(db, machineId, 1);
  await receiver.waitFor(1);
  receiver.answer(answers.accept);
  await db.execute(sql`update receiver set retry_at = ${ahead} where name = ${name}`);
  await db.execute(sql`update receiver_delivery set next_attempt_at = ${ahead}
    where next_attempt_at is not null and receiver_id = (select id from receiver where name = ${name})`);
  // The lease of a process that died when the clock was still ahead.
  await db.execute(sql`update receiver_dispatch set holder = ${randomUUID()}, held_until = ${ahead}`);
  await waitUntil("it is delivered", async () =>
    (await readDeliveries(database, name)).some(({ state }) => state === "delivered"),
  );
  // It may have been delivered before the lease was taken away.
  await waitUntil("the lease is taken over", async () => {
    const { rows } = await db.execute(sql`select from receiver_dispatch where held_until < now() + interval '1 hour'`);
    return rows.length === 1;
  });
});
