import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { sql } from "drizzle-orm";
import type pg from "pg";
import { pino } from "pino";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { WatchMachinesRequestSchema } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createChangeFeed } from "../../../src/admin/watch/change-feed.ts";
import { createChangeReader } from "../../../src/admin/watch/change-reader.ts";
import { WatchEndedError } from "../../../src/admin/watch/mailbox.ts";
import { encodeResumeToken, type ResumePoint } from "../../../src/admin/watch/resume-token.ts";
import { createWatchMachines } from "../../../src/admin/watch/watch-machines.ts";
import { connectDatabase, type Database } from "../../../src/db/client.ts";
import { readHistoryPosition } from "../../../src/db/queries/history-position.ts";
import { listMachineChanges } from "../../../src/db/queries/machine-change.ts";
import { agentHeartbeat, issueChange } from "../../../src/db/schema/index.ts";
import { writeIssueMessage } from "../../../src/receivers/event-message.ts";
import { createTestDatabase } from "../../support/database.ts";
import { bareMachine, machineWithAgent } from "../../support/machine.ts";
import { waitUntil } from "../../support/wait.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const log = pino({ level: "silent" });
const limits = {
  maxWatchers: 1_000,
  maxWaitingEvents: 5,
  pollMs: 50,
  restMs: 10,
  silencePollMs: 200,
  signOfLifeMs: 100,
};

/** A feed on connections of its own, which count how often they are used. */
function countingFeed(signOfLifeMs = limits.signOfLifeMs) {
  const { db, close } = connectDatabase(database.url);
  const feed = createChangeFeed({ db, log }, { ...limits, signOfLifeMs });
  const counter = { queries: 0 };
  db.$client.on("acquire", () => {
    counter.queries += 1;
  });
  return {
    feed,
    counter,
    /** Asks the database something over the feed's own connections. */
    ask: async () => void (await db.$client.query("select 1")),
    [Symbol.asyncDispose]: async () => {
      feed.close();
      await delay(2 * limits.pollMs);
      await close();
    },
  };
}

test("asks the database as often for a thousand watchers as for a few, and not at all for none", async () => {
  // Signs of life for a thousand, ten times a second, would keep a processor busy.
  await using counting = countingFeed(2_000);
  const { feed, counter } = counting;
  const stop = new AbortController();
  let caughtUp = 0;
  const seen = new Map<string, number>();
  const watchers = Array.from({ length: limits.maxWatchers }, async () => {
    let began: Date | undefined;
    let isCaughtUp = false;
    for await (const { events, point } of feed.watch(undefined, stop.signal)) {
      began ??= point.silenceAt;
      // Greetings and signs of life tell no later time.
      if (!isCaughtUp && point.silenceAt > began) caughtUp += 1;
      isCaughtUp = point.silenceAt > began;
      for (const { machineId } of events) seen.set(machineId, (seen.get(machineId) ?? 0) + 1);
    }
  });
  // While a thousand begin at once, somebody else still finds a connection of the same pool.
  await counting.ask();
  expect(counter.queries).toBeLessThan(50);
  await waitUntil("all have caught up", () => caughtUp === limits.maxWatchers, 60_000);
  const before = counter.queries;
  const ids = [await bareMachine(database.db), await bareMachine(database.db)];
  await waitUntil("all have seen both", () => ids.every((id) => seen.get(id) === limits.maxWatchers), 60_000);
  expect(counter.queries - before).toBeLessThan(limits.maxWatchers / 2);
  await expect(feed.watch(undefined, stop.signal).next()).rejects.toThrow(WatchEndedError);
  stop.abort();
  await Promise.all(watchers);
  expect(feed.watchers).toBe(0);
  // One that is under way may take its time.
  await waitUntil("nobody asks any more", async () => {
    const asked = counter.queries;
    await delay(10 * limits.pollMs);
    return counter.queries === asked;
  });
});

test("sends a watcher away that does not read, and keeps the others", async () => {
  await using counting = countingFeed();
  const stop = new AbortController();
  const idle = counting.feed.watch(undefined, stop.signal);
  const reader = counting.feed.watch(undefined, stop.signal);
  // A greeting from where it begins, and whatever comes next, by when events are kept for it.
  for (let message = 0; message < 2; message++) await idle.next();
  await reader.next();
  const seen = new Set<string>();
  const reading = (async () => {
    for await (const { events } of reader) for (const event of events) seen.add(event.machineId);
  })();
  for (let count = 0; count < 10; count++) {
    const id = await bareMachine(database.db);
    await waitUntil("the reader has seen it", () => seen.has(id));
  }
  const drain = async () => {
    for await (const _ of idle);
  };
  await expect(drain()).rejects.toThrow(/too slowly/);
  stop.abort();
  await reading;
});

test("sends everybody away when it closes", async () => {
  await using counting = countingFeed();
  const watch = counting.feed.watch(undefined, new AbortController().signal);
  await watch.next();
  counting.feed.close();
  const drain = async () => {
    for await (const _ of watch);
  };
  await expect(drain()).rejects.toThrow(/shutting down/);
});

test("misses nothing that commits while the first watcher makes the common reader begin", async () => {
  const { position, lineage, at } = await readHistoryPosition(database.db);
  const machineId = randomUUID();
  const late = await database.db.$client.connect();
  await late.query("begin");
  await late.query(
    `insert into machine_history (machine_id, actor, kind, detail) values ('${machineId}', 'test', 'machine_created', '{}')`,
  );
  const caughtUp = Promise.withResolvers<void>();
  // The first query is that of the token's check, the second one asks where the common reader begins.
  let queries = 0;
  const slow: Database = Object.assign(Object.create(database.db), {
    execute: async (...query: Parameters<Database["execute"]>) => {
      queries += 1;
      if (queries === 2) {
        // A watcher that does not wait for this one catches up before the commit.
        await Promise.race([caughtUp.promise, delay(500)]);
        await late.query("commit");
        late.release();
      }
      return await database.db.execute(...query);
    },
  });
  const feed = createChangeFeed({ db: slow, log }, limits);
  const seen: string[] = [];
  let batches = 0;
  for await (const { events } of feed.watch({ position, lineage, silenceAt: at }, new AbortController().signal)) {
    batches += 1;
    seen.push(...events.map((event) => event.machineId));
    // The greeting, and what was caught up with.
    if (batches === 2) caughtUp.resolve();
    if (seen.includes(machineId) || batches === 20) break;
  }
  feed.close();
  expect(seen.filter((id) => id === machineId)).toEqual([machineId]);
});

/** The database, whose statements wait from the `from`th one on until `release` is called. */
function haltingDatabase(from: number) {
  const { promise, resolve: release } = Promise.withResolvers<void>();
  const counter = { statements: 0 };
  const db: Database = Object.assign(Object.create(database.db), {
    execute: async (...query: Parameters<Database["execute"]>) => {
      counter.statements += 1;
      if (counter.statements >= from) await promise;
      return await database.db.execute(...query);
    },
  });
  return { db, counter, release };
}

test("counts watchers that wait for their turn to resume, tells them that it lives, and forgets those that leave", async () => {
  const { position, lineage, at } = await readHistoryPosition(database.db);
  const from = { position, lineage, silenceAt: at };
  const { db, counter, release } = haltingDatabase(1);
  const feed = createChangeFeed({ db, log }, { ...limits, maxWatchers: 12 });
  const stop = new AbortController();
  const watches = Array.from({ length: 12 }, () => feed.watch(from, stop.signal));
  const first = await Promise.all(watches.map((watch) => watch.next()));
  expect(first.map(({ value }) => value)).toEqual(
    first.map(() => expect.objectContaining({ events: [], point: from })),
  );
  await expect(feed.watch(from, stop.signal).next()).rejects.toThrow(/already 12 watchers/);
  expect([feed.watchers, counter.statements]).toEqual([12, 4]);
  const left = watches.splice(4, 6);
  await Promise.all(left.map((watch) => watch.return(undefined)));
  expect(feed.watchers).toBe(6);
  release();
  const caughtUp = await Promise.all(
    watches.map(async (watch) => {
      for await (const { point } of watch) if (point.silenceAt > at) return true;
      return false;
    }),
  );
  expect(caughtUp).toEqual(watches.map(() => true));
  expect(feed.watchers).toBe(0);
  feed.close();
});

test("sends a watcher away that waits for its turn when it closes", async () => {
  const { position, lineage, at } = await readHistoryPosition(database.db);
  const { db, release } = haltingDatabase(1);
  const feed = createChangeFeed({ db, log }, limits);
  const watches = Array.from({ length: 6 }, () =>
    feed.watch({ position, lineage, silenceAt: at }, new AbortController().signal).next(),
  );
  const ends = Promise.allSettled(watches.slice(4));
  feed.close();
  expect((await ends).map((end) => end.status === "rejected" && end.reason)).toEqual([
    expect.any(WatchEndedError),
    expect.any(WatchEndedError),
  ]);
  release();
  await Promise.allSettled(watches);
});

test("searches for silences only with the last batch of those that a watcher catches up with", async () => {
  const { position, lineage, at } = await readHistoryPosition(database.db);
  const point = { position, lineage, silenceAt: at };
  await database.db.execute(sql`
    insert into machine_history (machine_id, actor, kind, detail)
    select gen_random_uuid(), 'test', 'machine_created', '{}' from generate_series(1, 501)`);
  const reader = createChangeReader(database.db);
  const wanted = { quiet: "all at last" } as const;
  const first = await waitUntil("the rows can be read", async () => {
    const batch = await reader.read(point, wanted);
    return batch.events.length >= 500 && batch;
  });
  expect([first.isLast, first.point.silenceAt]).toEqual([false, at]);
  const last = await waitUntil("the last row can be read", async () => {
    const batch = await reader.read(first.point, wanted);
    return batch.isLast && batch;
  });
  expect(last.point.silenceAt.getTime()).toBeGreaterThan(at.getTime());
});

test.each([
  ["in one search", 100_000],
  ["in several", 300],
])("tells of many agents that fall silent at once part by part, and of each once, found %s", async (_, limit) => {
  const own = await createTestDatabase();
  onTestFinished(() => own.close());
  const { position, lineage, at } = await readHistoryPosition(own.db);
  await own.db.execute(sql`
    with made as (insert into machine (id) select gen_random_uuid() from generate_series(1, 1200) returning id),
    started as (
      insert into agent_started (machine_id, public_key) select id, sha256(id::text::bytea) from made returning machine_id
    )
    insert into agent_heartbeat (machine_id, heartbeat_at, alive_since, quiet_until)
    select machine_id, now(), now(), clock_timestamp() from started`);
  const reader = createChangeReader(own.db, limit);
  const seen: string[] = [];
  let point: ResumePoint = { position, lineage, silenceAt: at };
  for (let isLast = false; !isLast; ) {
    const batch = await reader.read(point, { quiet: "all" });
    expect(batch.events.length).toBeLessThanOrEqual(500);
    expect(batch.machines.size).toBeLessThanOrEqual(500);
    seen.push(...batch.events.map(({ machineId }) => machineId));
    ({ point, isLast } = batch);
    // Whoever comes back with this token must be told of the rest.
    if (!isLast && limit > 1200) expect(point.silenceAt).toEqual(at);
  }
  expect(point.silenceAt.getTime()).toBeGreaterThan(at.getTime());
  expect([seen.length, new Set(seen).size]).toEqual([1200, 1200]);
  expect((await reader.read(point, { quiet: "all" })).events).toEqual([]);
});

test("tells watchers and receivers of an issue whose type and severity only another version of the server knows", async () => {
  const { position, lineage, at } = await readHistoryPosition(database.db);
  const machineId = await bareMachine(database.db);
  await database.db.insert(issueChange).values({
    ...{ machineId, at, since: at, hasBegun: true, type: "tomorrows_issue", severity: "dreadful" },
    ...{ target: "fan 3", detail: "stands still" },
  });
  const feed = createChangeFeed({ db: database.db, log }, limits);
  const resumeToken = encodeResumeToken({ position, lineage, silenceAt: at });
  const stop = new AbortController();
  const request = create(WatchMachinesRequestSchema, { resumeToken });
  const summary = "this version of the server does not know issues of type tomorrows_issue";
  for await (const { kind, issue } of createWatchMachines({ feed })(request, {
    signal: stop.signal,
    values: createContextValues(),
  } as HandlerContext)) {
    if (kind !== "issue_opened") continue;
    expect(issue).toMatchObject({ machineId, type: "tomorrows_issue", severity: 0, summary, detail: "stands still" });
    break;
  }
  feed.close();
  const changes = await listMachineChanges(database.db, position, 1000);
  const messages = changes.flatMap((change) => ("issue" in change ? writeIssueMessage(change, undefined) : []));
  expect(messages.map(({ payload }) => JSON.parse(payload))).toEqual([
    expect.objectContaining({
      type: "issue.opened",
      data: expect.objectContaining({ issue: expect.objectContaining({ type: "tomorrows_issue", summary }) }),
    }),
  ]);
});

test("tells of a silence after the database failed in the midst of reading it", async () => {
  const { machineId } = await machineWithAgent(database.db);
  const quietUntil = new Date(Date.now() - 1_000);
  await database.db
    .insert(agentHeartbeat)
    .values({ machineId, heartbeatAt: quietUntil, aliveSince: quietUntil, quietUntil });
  const { position, lineage, at } = await readHistoryPosition(database.db);
  let isAway = false;
  const failing: Database = Object.assign(Object.create(database.db), {
    execute: async (...query: Parameters<Database["execute"]>) => {
      const result = await database.db.execute(...query);
      isAway = true;
      return result;
    },
    $client: Object.assign(Object.create(database.db.$client), {
      query: async (query: pg.QueryConfig) => {
        if (isAway) throw new Error("Connection terminated");
        return await database.db.$client.query(query);
      },
    }),
  });
  const reader = createChangeReader(failing);
  const read = () => reader.read({ position, lineage, silenceAt: at }, { quiet: "all" });
  await expect(read()).rejects.toThrow("Connection terminated");
  isAway = false;
  Object.assign(failing, { execute: database.db.execute.bind(database.db) });
  // Transactions of other tests may hold the position back, so that older events are read again.
  const findSilences = async () =>
    (await read()).events.filter((event) => event.machineId === machineId && event.kind === "state_changed");
  expect(await findSilences()).toHaveLength(1);
  expect(await findSilences()).toEqual([]);
});
