/**
 * Deliveries against everything else that happens to a request: one of the two comes first, and the other one knows.
 */
import { randomBytes } from "node:crypto";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deliverInstallations } from "../../../../src/db/queries/heartbeat/deliver-installations.ts";
import type { HeartbeatRow } from "../../../../src/db/queries/heartbeat/heartbeat-row.ts";
import { writeHeartbeats } from "../../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { setHolds } from "../../../../src/db/queries/machine-hold.ts";
import { transact } from "../../../../src/db/transact.ts";
import { createTestDatabase, openPool, type TestDatabase } from "../../../support/database.ts";
import {
  cancelUngiven,
  createHeartbeatRows,
  giveGeneration,
  readHistory,
  readRequest,
  requestGeneration,
  successOf,
} from "../../../support/heartbeat-rows.ts";
import { uncommitted } from "../../../support/uncommitted.ts";
import { waitForBlockedSessions } from "../../../support/wait.ts";

let database: TestDatabase;
let pool: pg.Pool;
const deadlineMs = 1_200_000;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = openPool(database.url, { max: 8, pipeline: true });
});

afterAll(async () => {
  await pool?.end();
  await database?.close();
});

async function using<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    return await work(client);
  } finally {
    client.release();
  }
}

async function requestedMachine(): Promise<HeartbeatRow> {
  const [row] = (await createHeartbeatRows(pool, 1)) as [HeartbeatRow];
  await requestGeneration(pool, [row], 1n);
  return row;
}

const deliver = (rows: readonly HeartbeatRow[], generation = 1n) =>
  using((client) =>
    deliverInstallations(
      client,
      rows.map(({ machineId, publicKey }) => ({ machineId, publicKey, generation })),
      deadlineMs,
    ),
  );

/** Runs `work` in a transaction that is left open until `end` is called. */
async function hold(work: (client: pg.PoolClient) => Promise<unknown>) {
  const client = await pool.connect();
  await client.query("begin");
  await work(client);
  return {
    end: async (how: "commit" | "rollback") => {
      await client.query(how);
      client.release();
    },
  };
}

const never = { firstGivenAt: null, lastGivenAt: null, timesGiven: 0, due: null };

describe("a delivery", () => {
  test("is on record with its agent, and when it is due counts from the first one", async () => {
    const row = await requestedMachine();
    expect(await deliver([row])).toEqual([{}]);
    const first = await readRequest(database, row);
    expect(first).toMatchObject({ timesGiven: 1, due: deadlineMs, startedAt: null });
    expect(first.lastGivenAt).toEqual(first.firstGivenAt);
    expect(await deliver([row])).toEqual([{}]);
    const second = await readRequest(database, row);
    expect(second).toMatchObject({ timesGiven: 2, due: deadlineMs, firstGivenAt: first.firstGivenAt });
    expect(Number(second.lastGivenAt)).toBeGreaterThan(Number(first.lastGivenAt));
    const actor = `agent:${Buffer.from(row.publicKey).toString("hex")}`;
    expect(await readHistory(database, row)).toEqual([
      { actor, kind: "installation_given", detail: { generation: "1" } },
    ]);
  });

  test("is refused to whoever does not hold the machine's key, in the same batch as the machine's own", async () => {
    const row = await requestedMachine();
    const stranger = { ...row, publicKey: randomBytes(32) };
    expect(await deliver([stranger])).toEqual([undefined]);
    expect(await readRequest(database, row)).toMatchObject(never);
    expect(await deliver([stranger, row, { ...row, publicKey: randomBytes(32) }])).toEqual([undefined, {}, undefined]);
    expect(await readRequest(database, row)).toMatchObject({ timesGiven: 1 });
  });

  test.each([
    ["cancelled", "update os_installation_request set cancelled_at = now() where machine_id = $1"],
    ["superseded", "update os_installation_request set superseded_at = now() where machine_id = $1"],
    ["finished", "update os_installation_request set finished_at = now(), result = 'success' where machine_id = $1"],
    [
      "reported to a server that does not finish requests",
      `insert into os_installation_report (machine_id, generation, reported_at, result, report)
       values ($1, 1, now(), 'success', '')`,
    ],
  ])("of a request that was %s does not happen", async (_how, statement) => {
    const row = await requestedMachine();
    await pool.query(statement, [row.machineId]);
    expect(await deliver([row])).toEqual([undefined]);
    expect(await readRequest(database, row)).toMatchObject(never);
    expect(await readHistory(database, row)).toEqual([]);
    expect(await using((client) => writeHeartbeats(client, [row]))).toEqual([
      { kind: "counted", reportRefused: false },
    ]);
  });

  test("of a generation that was never requested does not happen", async () => {
    const row = await requestedMachine();
    expect(await deliver([row], 2n)).toEqual([undefined]);
  });
});

describe("while another transaction holds the request", () => {
  test.each([
    ["commit", [undefined], never],
    ["rollback", [{}], { timesGiven: 1, cancelledAt: null }],
  ] as const)(
    "to cancel it, a delivery gives nothing and does not wait: after the %s the next one is %j",
    async (...row) => {
      const [how, delivered, stored] = row;
      const machine = await requestedMachine();
      const operator = await hold((client) => cancelUngiven(client, machine));
      expect(await deliver([machine])).toEqual([undefined]);
      expect(await readRequest(database, machine)).toMatchObject({ ...never, cancelledAt: null });
      await operator.end(how);
      expect(await deliver([machine])).toEqual(delivered);
      expect(await readRequest(database, machine)).toMatchObject(stored);
    },
  );

  test("of one machine, a delivery to others happens", async () => {
    const [held, free] = [await requestedMachine(), await requestedMachine()];
    const operator = await hold((client) => cancelUngiven(client, held));
    expect(await deliver([held, free])).toEqual([undefined, {}]);
    await operator.end("commit");
  });

  test.each([
    ["commit", 0],
    ["rollback", 1],
  ] as const)("to deliver it, a cancellation waits: after the %s it finds %i", async (how, cancelled) => {
    const row = await requestedMachine();
    const delivery = await hold((client) =>
      deliverInstallations(uncommitted(client), [{ ...row, generation: 1n }], deadlineMs),
    );
    const cancelling = cancelUngiven(pool, row);
    await waitForBlockedSessions(pool, 1);
    await delivery.end(how);
    expect(await cancelling).toBe(cancelled);
  });

  test("to supersede it, a delivery gives nothing and does not wait; the next heartbeat is given the newer one", async () => {
    const row = await requestedMachine();
    const operator = await hold((client) => requestGeneration(client, [row], 2n));
    expect(await deliver([row])).toEqual([undefined]);
    await operator.end("commit");
    expect(await deliver([row])).toEqual([undefined]);
    expect(await deliver([row], 2n)).toEqual([{}]);
  });

  test("to report it, a delivery waits for the report", async () => {
    const [row] = (await createHeartbeatRows(pool, 1)) as [HeartbeatRow];
    await giveGeneration(pool, [row], 1n);
    const reporter = await hold((client) =>
      writeHeartbeats(uncommitted(client), [{ ...row, installationReport: successOf(1n) }]),
    );
    const waiting = deliver([row]);
    await waitForBlockedSessions(pool, 1);
    await reporter.end("commit");
    expect(await waiting).toEqual([undefined]);
    expect(await readRequest(database, row)).toMatchObject({ timesGiven: 1, result: "success" });
  });
});

test("an agent whose key is being replaced is given nothing once that is committed", async () => {
  const row = await requestedMachine();
  const operator = await hold((client) =>
    client.query("update agent_started set public_key = $2 where machine_id = $1", [row.machineId, randomBytes(32)]),
  );
  const waiting = deliver([row]);
  await waitForBlockedSessions(pool, 1);
  await operator.end("commit");
  expect(await waiting).toEqual([undefined]);
  expect(await readRequest(database, row)).toMatchObject(never);
});

/** Returns a client that sends the statement of each name, and those after it, only after its promise. */
function stepwise(client: pg.ClientBase, steps: Readonly<Record<string, Promise<unknown>>>): pg.ClientBase {
  let sent: Promise<unknown> = Promise.resolve();
  const query = (statement: string | pg.QueryConfig) => {
    const name = typeof statement === "string" ? statement : (statement.name ?? "");
    const answered = sent.then(() => steps[name]).then(() => client.query(statement));
    sent = answered;
    return answered;
  };
  return Object.create(client, { query: { value: query } });
}

test("an agent whose key is revoked and registered again while its delivery waits is given nothing after SetHold", async () => {
  const row = await requestedMachine();
  const { machineId, publicKey } = row;
  const revoking = await hold((client) => client.query("delete from agent_started where machine_id = $1", [machineId]));
  const [registered, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const recorded = Promise.withResolvers<void>();
  const delivering = using((client) =>
    deliverInstallations(
      stepwise(client, {
        "record-deliveries": registered.promise,
        get commit() {
          recorded.resolve();
          return held.promise;
        },
      }),
      [{ machineId, publicKey, generation: 1n }],
      deadlineMs,
    ),
  );
  await waitForBlockedSessions(pool, 1);
  await revoking.end("commit");
  await pool.query("insert into agent_started (machine_id, public_key) values ($1, $2)", [machineId, publicKey]);
  registered.resolve();
  await recorded.promise;
  const bench = { machineId, reason: "bench", ticket: null, isMuted: false, end: undefined };
  await transact(database.db, (tx) => setHolds(tx, [bench], "test"));
  held.resolve();
  expect(await delivering).toEqual([undefined]);
  expect(await readRequest(database, row)).toMatchObject(never);
});

describe("requests of several machines are locked in machine-id order, as operators lock them", () => {
  const ways: Record<string, (client: pg.ClientBase, rows: readonly HeartbeatRow[]) => Promise<unknown>> = {
    reports: (client, rows) =>
      writeHeartbeats(
        client,
        rows.map((row) => ({ ...row, installationReport: successOf(1n) })),
      ),
    progress: (client, rows) =>
      writeHeartbeats(
        client,
        rows.map((row) => ({ ...row, installationProgress: { generation: 1n } })),
      ),
  };

  test.each(Object.entries(ways))(
    "by %s: what waits for the first one holds none of the others",
    async (_way, write) => {
      const rows = await createHeartbeatRows(pool, 9);
      await giveGeneration(pool, rows, 1n);
      const [first, ...others] = rows.toSorted((a, b) => (a.machineId < b.machineId ? -1 : 1)) as [HeartbeatRow];
      const lock = (client: pg.ClientBase, held: readonly HeartbeatRow[]) =>
        client.query("select from os_installation_request where machine_id = any($1) for no key update nowait", [
          held.map((row) => row.machineId),
        ]);
      const operator = await pool.connect();
      await operator.query("begin");
      await lock(operator, [first]);
      const waiting = using((client) => write(client, [...others, first]));
      await waitForBlockedSessions(pool, 1);
      await expect(lock(operator, others)).resolves.toMatchObject({ rowCount: 8 });
      await operator.query("rollback");
      operator.release();
      await waiting;
    },
  );
});
