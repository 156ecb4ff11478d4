import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Transaction } from "../../src/db/client.ts";
import { runRetention, startHistoryRetention } from "../../src/db/history-retention.ts";
import {
  adoptRestoredHistory,
  checkHistoryPosition,
  readHistoryPosition,
} from "../../src/db/queries/history-position.ts";
import { deleteOldAdminRequests, deleteOldEvents, tryRetentionLock } from "../../src/db/queries/history-retention.ts";
import { resendDeliveries } from "../../src/db/queries/kept-delivery.ts";
import { listDueDeliveries } from "../../src/db/queries/receiver-delivery.ts";
import { adminRequest, historyFloor, machineHistory, receiver, receiverDelivery } from "../../src/db/schema/index.ts";
import { transact } from "../../src/db/transact.ts";
import { grpcAgent } from "../support/agents.ts";
import { captureScans } from "../support/captured-plans.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { success } from "../support/fleet.ts";
import { machineWithAgent, readTags } from "../support/machine.ts";
import { createCollectingLog, type LogLine, startTestServer } from "../support/server.ts";
import { startServerProcess } from "../support/server-process.ts";
import { waitForBlockedSessions, waitUntil } from "../support/wait.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.close());

const never = new AbortController().signal;
const daysAgo = (days: number) => new Date(Date.now() - days * 24 * 60 * 60 * 1000);

/** Adds `count` events of one machine, one of each second before that many days ago. */
async function addEvents(count: number, days: number): Promise<void> {
  await database.db.$client.query(
    `insert into machine_history (machine_id, at, actor, kind, detail)
     select $1, now() - make_interval(days => $2, secs => number), 'test', 'machine_provided', '{}' from generate_series(1, $3) as number`,
    [randomUUID(), days, count],
  );
}

const addRequest = (days: number) =>
  database.db.insert(adminRequest).values({
    actor: "token:test",
    requestId: randomUUID(),
    at: daysAgo(days),
    method: "test",
    requestHash: new Uint8Array(32),
    response: new Uint8Array(),
  });

/** Creates a receiver, and returns what the rows of one machine's deliveries to it have in common. */
async function addReceiver() {
  const [made] = await database.db
    .insert(receiver)
    .values({ name: "r", url: "https://r.example/", events: ["*"], createdBy: "test" })
    .returning();
  return {
    receiverId: made?.id ?? "",
    machineId: randomUUID(),
    eventType: "machine.created",
    eventAt: new Date(),
    payload: "{}",
  };
}

const events = () => database.db.$count(machineHistory);
const requests = () => database.db.$count(adminRequest);
const floor = async () => (await database.db.select().from(historyFloor))[0];

describe("one round", () => {
  test("deletes what is older, however much, and raises the floor to the last of it", async () => {
    await addEvents(2500, 31);
    const old = await database.db.select().from(machineHistory);
    await addEvents(10, 29);
    expect(await runRetention(database.db, { historyDays: 30 }, never)).toEqual({
      events: 2500,
      issueChanges: 0,
      adminRequests: 0,
      deliveries: 0,
    });
    expect(await events()).toBe(10);
    const last = old.reduce((a, b) => (a.id > b.id ? a : b));
    expect(await floor()).toEqual({ only: true, transaction: last.transaction, historyId: last.id });
  });

  test("never lowers the floor", async () => {
    await addEvents(1, 100);
    await addEvents(1, 200);
    await runRetention(database.db, { historyDays: 30 }, never);
    const before = await floor();
    await database.db.$client.query(
      `insert into machine_history (machine_id, at, actor, kind, detail, transaction)
       values (gen_random_uuid(), now() - interval '100 days', 'test', 'machine_provided', '{}', '3')`,
    );
    expect(await runRetention(database.db, { historyDays: 30 }, never)).toMatchObject({ events: 1 });
    expect(await floor()).toEqual(before);
  });

  test("deletes deliveries a week after they have ended, and none that waits", async () => {
    const { db } = database;
    const values = await addReceiver();
    await db.insert(receiverDelivery).values([
      { ...values, id: "old", state: "delivered", endedAt: daysAgo(8) },
      { ...values, id: "given up long ago", state: "given_up", endedAt: daysAgo(8) },
      { ...values, id: "new", state: "delivered", endedAt: daysAgo(6) },
      { ...values, id: "waiting", createdAt: daysAgo(100) },
    ]);
    expect(await runRetention(db, { historyDays: 0 }, never)).toMatchObject({ deliveries: 2 });
    const kept = await db.select({ id: receiverDelivery.id }).from(receiverDelivery).orderBy(receiverDelivery.seq);
    expect(kept.map(({ id }) => id)).toEqual(["new", "waiting"]);
  });

  test("keeps an old delivery that an operator has resent at this moment, and what waits behind it is sent", async () => {
    const { db } = database;
    const values = await addReceiver();
    await db.insert(receiverDelivery).values([
      { ...values, id: "old", state: "given_up", endedAt: daysAgo(8) },
      { ...values, id: "next", nextAttemptAt: new Date() },
    ]);
    const round = await transact(db, async (tx) => {
      expect(await resendDeliveries(tx, "r", ["old"])).toBe(1);
      const running = runRetention(db, { historyDays: 0 }, never);
      await waitForBlockedSessions(db.$client, 1);
      return { running };
    });
    expect(await round.running).toMatchObject({ deliveries: 0 });
    const due = await listDueDeliveries(db, []);
    expect(due.map(({ id }) => id)).toEqual(["old"]);
  });

  test("keeps the history for ever when told to, and answered calls for a week all the same", async () => {
    await addEvents(3, 40_000);
    for (const days of [6, 8, 365]) await addRequest(days);
    expect(await runRetention(database.db, { historyDays: 0 }, never)).toEqual({
      events: 0,
      issueChanges: 0,
      adminRequests: 2,
      deliveries: 0,
    });
    expect([await events(), await requests()]).toEqual([3, 1]);
    expect(await floor()).toBeUndefined();
  });

  test("leaves it to another server that is at it", async () => {
    await addEvents(1, 31);
    await addRequest(8);
    const round = () => runRetention(database.db, { historyDays: 30 }, never);
    await transact(database.db, async (tx: Transaction) => {
      expect(await tryRetentionLock(tx)).toBe(true);
      expect(await round()).toEqual({ events: 0, issueChanges: 0, adminRequests: 0, deliveries: 0 });
    });
    expect(await round()).toEqual({ events: 1, issueChanges: 0, adminRequests: 1, deliveries: 0 });
  });

  test("reads no table from end to end, and no row that it does not delete", async () => {
    const { url, db } = database;
    await addEvents(30_000, 20);
    await db.$client.query(
      `insert into admin_request (actor, request_id, at, method, request_hash, response)
       select 'test', gen_random_uuid(), now() - make_interval(mins => number), 'test', '', '' from generate_series(1, 20000) as number;
       analyze`,
    );
    const scans = await captureScans(url, (captured) =>
      transact(captured, async (tx) => {
        expect(await deleteOldEvents(tx, 19, 100)).toBe(100);
        expect(await deleteOldAdminRequests(tx, 7, 100)).toBe(100);
      }),
    );
    const read = scans.filter(({ node, relation }) => node.endsWith("Scan") && relation !== "history_floor");
    expect(read).toHaveLength(4);
    for (const { node, rows } of read) {
      expect(node).not.toBe("Seq Scan");
      expect(rows).toBeLessThanOrEqual(100);
    }
  });

  test("at once with another deletes each row once", async () => {
    await addEvents(3000, 31);
    const rounds = [1, 2, 3].map(() => runRetention(database.db, { historyDays: 30 }, never));
    const deleted = (await Promise.all(rounds)).reduce((total, round) => total + round.events, 0);
    expect(deleted + (await events())).toBe(3000);
    expect(deleted).toBeGreaterThan(0);
  });

  test("ends before its next batch when it is stopped", async () => {
    await addEvents(20_000, 31);
    const stop = new AbortController();
    const running = runRetention(database.db, { historyDays: 30 }, stop.signal);
    await waitUntil("a batch is deleted", async () => (await events()) < 20_000);
    stop.abort();
    const { events: deleted } = await running;
    expect(deleted + (await events())).toBe(20_000);
    expect(deleted).toBeLessThan(20_000);
  });
});

test("a floor that was restored from another server's dump keeps no watcher from going on", async () => {
  const { db } = database;
  await db.insert(historyFloor).values({ transaction: (2n ** 62n).toString(), historyId: 5n });
  const { position, lineage } = await readHistoryPosition(db);
  await expect(checkHistoryPosition(db, position, lineage)).rejects.toThrow("no longer kept");
  await adoptRestoredHistory(db);
  await checkHistoryPosition(db, position, lineage);
  expect(await floor()).toMatchObject({ transaction: "3", historyId: 5n });
});

test("says in the log what it deleted, and that the database was away", async () => {
  await addEvents(2, 31);
  await addRequest(8);
  const logged: LogLine[] = [];
  const retention = startHistoryRetention(database.db, { historyDays: 30, log: createCollectingLog(logged) });
  await waitUntil("it is logged", () => logged.length > 0);
  await retention.close();
  expect(logged).toMatchObject([{ level: 30, events: 2, adminRequests: 1 }]);
  const { db, close } = await createTestDatabase();
  await close();
  const failing = startHistoryRetention(db, { historyDays: 30, log: createCollectingLog(logged) });
  await waitUntil("the failure is logged", () => logged.length > 1);
  await failing.close();
  expect(logged[1]).toMatchObject({ level: 40, msg: expect.stringContaining("the database is unreachable") });
});

test("does nothing more once it is closed", async () => {
  const retention = startHistoryRetention(database.db, { historyDays: 30, log: pino({ level: "silent" }) });
  await retention.close();
  await addEvents(1, 31);
  await retention.close();
  expect(await events()).toBe(1);
});

test("a server carries it out, as long as it is told to, and stops with it", async () => {
  await addEvents(1500, 3);
  await addEvents(5, 1);
  await using server = await startServerProcess({ DATABASE_URL: database.url, BMAAS_HISTORY_DAYS: "2" });
  await waitUntil("the old ones are gone", async () => (await events()) === 5);
  await waitUntil("it is logged", () => server.logged.some((line) => line.events === 1500));
  expect(await server.stop()).toBe(0);
});

test("a report that is refused is recorded again after its record was deleted", async () => {
  await using server = await startTestServer(database.url);
  const machine = await machineWithAgent(database.db);
  const { machineId, key } = machine;
  using agent = grpcAgent(server, key);
  const refused = async () =>
    (await readTags(database, machineId)).history.filter(({ kind }) => kind === "installation_report_refused");
  const report = () => agent.heartbeat({ machineId, ...success(5n) }).catch(() => {});
  await report();
  await report();
  expect(await refused()).toHaveLength(1);
  await database.db.update(machineHistory).set({ at: daysAgo(400) });
  await runRetention(database.db, { historyDays: 365 }, never);
  expect(await refused()).toEqual([]);
  await report();
  expect(await refused()).toHaveLength(1);
});
