/** That changes of operators wake the feed, and that it needs no announcement to see them. */
import { randomUUID } from "node:crypto";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { afterAll, expect, test } from "vitest";
import { createChangeFeed } from "../../../src/admin/watch/change-feed.ts";
import { createHistoryListeners } from "../../../src/db/history-listener.ts";
import { createMachines } from "../../../src/db/queries/machine.ts";
import { transact } from "../../../src/db/transact.ts";
import { createTestDatabase } from "../../support/database.ts";
import { bareMachine } from "../../support/machine.ts";
import { waitUntil } from "../../support/wait.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const { db } = database;
const log = pino({ level: "silent" });
const limits = { maxWatchers: 10, maxWaitingEvents: 100, restMs: 10, silencePollMs: 600_000, signOfLifeMs: 600_000 };
/** So long that no test sees the end of an interval. */
const never = 600_000;

/** Watches from now on, and collects the ids of the machines that changed. */
async function watchFeed({ pollMs, url = database.url }: { pollMs: number; url?: string }) {
  const feed = createChangeFeed({ db, listen: createHistoryListeners(url), log }, { ...limits, pollMs });
  const stop = new AbortController();
  const seen: string[] = [];
  const watch = feed.watch(undefined, stop.signal);
  const started = Promise.withResolvers<void>();
  const watching = (async () => {
    let batches = 0;
    for await (const { events } of watch) {
      seen.push(...events.map(({ machineId }) => machineId));
      batches += 1;
      // The greeting, and what was caught up with.
      if (batches === 2) started.resolve();
    }
  })();
  await started.promise;
  return {
    seen,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await watching;
      feed.close();
      await waitUntil("nobody listens", async () => (await findListeners()).length === 0);
    },
  };
}

/** Process ids of the connections that listen. */
async function findListeners(): Promise<number[]> {
  const { rows } = await db.$client.query<{ pid: number }>(
    `select pid from pg_stat_activity
      where datname = current_database() and application_name = 'bmaas-watch' and query like 'listen%'`,
  );
  return rows.map(({ pid }) => pid);
}

const isListening = async () => (await findListeners()).length === 1;

test("sees a change as soon as it is announced", async () => {
  await using watch = await watchFeed({ pollMs: never });
  await waitUntil("it listens", isListening);
  for (let count = 0; count < 3; count++) {
    const machineId = await bareMachine(db);
    await waitUntil("it has seen the change", () => watch.seen.includes(machineId));
  }
  expect(new Set(watch.seen).size).toBe(watch.seen.length);
});

test("sees an announced change once the older transactions have ended that hold it back", async () => {
  await using watch = await watchFeed({ pollMs: never });
  await waitUntil("it listens", isListening);
  const older = await db.$client.connect();
  await older.query("begin");
  await older.query("select pg_current_xact_id()");
  const machineId = await bareMachine(db);
  await db.$client.query("select pg_sleep(0.1)");
  expect(watch.seen).toEqual([]);
  await older.query("commit");
  older.release();
  await waitUntil("it has seen the change", () => watch.seen.includes(machineId));
});

test("listens again after its connection was lost", async () => {
  await using watch = await watchFeed({ pollMs: 20 });
  await waitUntil("it listens", isListening);
  const [first] = await findListeners();
  await db.$client.query("select pg_terminate_backend($1)", [first]);
  await waitUntil(
    "it listens again",
    async () => (await isListening()) && !(await findListeners()).includes(first ?? 0),
  );
  const machineId = await bareMachine(db);
  await waitUntil("it has seen the change", () => watch.seen.includes(machineId));
});

test("ends a connection that fails, and opens the next ones less and less often", async () => {
  const opened: Socket[] = [];
  // It takes every connection for a start, and answers none with what PostgreSQL would.
  const broken = createServer((socket) => {
    opened.push(socket);
    socket.on("error", () => {}).resume();
    socket.write("E");
    socket.end();
  });
  await new Promise<void>((resolve) => broken.listen(0, "127.0.0.1", resolve));
  const { port } = broken.address() as AddressInfo;
  const { renew, close } = createHistoryListeners(`postgres://nobody@127.0.0.1:${port}/none?sslmode=disable`)(() => {});
  const began = performance.now();
  while (performance.now() - began < 1_200) {
    renew();
    await delay(10);
  }
  // At once, half a second later, and then after a second.
  expect(opened.length).toBeGreaterThan(0);
  expect(opened.length).toBeLessThanOrEqual(3);
  await waitUntil("none is left open", () => opened.every((socket) => socket.destroyed));
  close();
  await new Promise((resolve) => broken.close(resolve));
});

test("sees changes at the interval where it cannot listen", async () => {
  const away = new URL(database.url);
  away.port = "1";
  await using watch = await watchFeed({ pollMs: 20, url: away.href });
  const machineId = await bareMachine(db);
  await waitUntil("it has seen the change", () => watch.seen.includes(machineId));
});

test("what a transaction rolls back is not announced, and what heartbeats write neither", async () => {
  const listener = await db.$client.connect();
  const heard: string[] = [];
  listener.on("notification", ({ payload = "" }) => heard.push(payload));
  await listener.query("listen bmaas_history");
  await expect(
    transact(db, async (tx) => {
      await createMachines(tx, [randomUUID()], "test");
      throw new Error("changed its mind");
    }),
  ).rejects.toThrow("changed its mind");
  await db.$client.query(
    `insert into machine_history (machine_id, actor, kind, detail) values ($1, 'agent', 'agent_booted', '{}')`,
    [randomUUID()],
  );
  await bareMachine(db);
  const { rows } = await db.$client.query<{ newest: string }>(
    "select max(transaction::text::bigint) as newest from machine_history",
  );
  await listener.query("select 1");
  expect(heard).toEqual([rows[0]?.newest]);
  await listener.query("unlisten *");
  listener.release(true);
});
