/**
 * The heartbeat's two statements against each other: on many rows, on several connections, and on connections that die.
 */
import { randomBytes, randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type HeartbeatStore, openHeartbeatStore } from "../../../../src/db/heartbeat-store.ts";
import type { HeartbeatRow } from "../../../../src/db/queries/heartbeat/heartbeat-row.ts";
import { writeHeartbeats } from "../../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { createTestDatabase, openPool, type TestDatabase } from "../../../support/database.ts";
import {
  createHeartbeatRows,
  giveGeneration,
  newHardware,
  pendingOf,
  readNonce,
  requestGeneration,
  successOf,
} from "../../../support/heartbeat-rows.ts";
import { uncommitted } from "../../../support/uncommitted.ts";
import { waitForBlockedSessions } from "../../../support/wait.ts";

let database: TestDatabase;
/** For what the tests arrange and look up. */
let admin: pg.Pool;
const open: pg.Client[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  admin = openPool(database.url, { max: 2 });
});

afterEach(async () => {
  for (const client of open.splice(0)) await client.end();
});

afterAll(async () => {
  await admin?.end();
  await database?.close();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url, pipeline: true });
  client.on("error", () => {});
  await client.connect();
  open.push(client);
  return client;
}

async function createRow(): Promise<HeartbeatRow> {
  const [row] = await createHeartbeatRows(admin, 1);
  return row as HeartbeatRow;
}

/** Holds the machine's identity until `commit`, as a transaction under way does. */
async function holdIdentity({ machineId }: HeartbeatRow): Promise<pg.Client> {
  const holder = await connect();
  await holder.query("begin");
  await holder.query("select from agent_started where machine_id = $1 for update", [machineId]);
  return holder;
}

describe("many heartbeats at once", () => {
  test("each gets its own outcome, in their order", async () => {
    const rows = await createHeartbeatRows(admin, 60);
    const writer = await connect();
    await giveGeneration(admin, rows, 7n);
    await writeHeartbeats(
      writer,
      rows.map((row) => ({ ...row, signatureNonce: 100n })),
    );
    const kinds: ((row: HeartbeatRow) => { row: HeartbeatRow; outcome: unknown })[] = [
      (row) => ({ row, outcome: { kind: "counted", reportRefused: false, pending: pendingSeven } }),
      (row) => ({ row: { ...row, publicKey: randomBytes(32) }, outcome: { kind: "unauthenticated" } }),
      (row) => ({ row: { ...row, machineId: randomUUID() }, outcome: { kind: "unauthenticated" } }),
      (row) => ({ row: { ...row, signatureNonce: 100n }, outcome: { kind: "replayed" } }),
      (row) => ({
        row: { ...row, signatureNonce: 101n, installationReport: successOf(7n) },
        outcome: { kind: "counted", reportRefused: false },
      }),
      (row) => ({
        row: { ...row, hardwareReport: newHardware(), installationReport: successOf(6n) },
        outcome: { kind: "counted", reportRefused: true },
      }),
    ];
    const cases = rows.map((row, index) => (kinds[index % kinds.length] as (typeof kinds)[0])(row));
    const outcomes = await writeHeartbeats(
      writer,
      cases.map(({ row }) => row),
    );
    expect(outcomes).toEqual(cases.map(({ outcome }) => outcome));
    const { rows: stored } = await admin.query<{ reports: number; hardware: number }>(
      `select (select count(*)::int from os_installation_report where machine_id = any($1)) as reports,
              (select count(*)::int from hardware_report where machine_id = any($1)) as hardware`,
      [rows.map((row) => row.machineId)],
    );
    expect(stored).toEqual([{ reports: 10, hardware: 10 }]);
  });

  test("a stranger under a machine's id in the same batch gets nothing of that machine's, and takes nothing from it", async () => {
    const row = await createRow();
    const writer = await connect();
    await requestGeneration(admin, [row], 7n);
    const stranger = () => ({
      ...row,
      publicKey: randomBytes(32),
      installationReport: successOf(7n),
      signatureNonce: 9n,
    });
    const outcomes = await writeHeartbeats(writer, [stranger(), row, stranger()]);
    expect(outcomes).toEqual([
      { kind: "unauthenticated" },
      { kind: "counted", reportRefused: false, pending: pendingSeven },
      { kind: "unauthenticated" },
    ]);
    expect(await readNonce(database, row)).toEqual({ nonce: null });
  });

  test("what refused heartbeats carry is not stored", async () => {
    const [wrongKey, replayed] = (await createHeartbeatRows(admin, 2)) as [HeartbeatRow, HeartbeatRow];
    const writer = await connect();
    await requestGeneration(admin, [wrongKey, replayed], 7n);
    await writeHeartbeats(writer, [{ ...replayed, signatureNonce: 5n }]);
    const load = { hardwareReport: newHardware(), installationReport: successOf(7n) };
    await writeHeartbeats(writer, [
      { ...wrongKey, ...load, publicKey: randomBytes(32) },
      { ...replayed, ...load, signatureNonce: 4n },
    ]);
    const { rows } = await admin.query(
      `select machine_id from hardware_report where machine_id = any($1)
       union all select machine_id from os_installation_report where machine_id = any($1)
       union all select machine_id from machine_history where machine_id = any($1)`,
      [[wrongKey.machineId, replayed.machineId]],
    );
    expect(rows).toEqual([]);
    expect(await readNonce(database, wrongKey)).toBeUndefined();
  });

  test("batches that overlap, in any order, on several connections, never deadlock", async () => {
    const rows = await createHeartbeatRows(admin, 60);
    await giveGeneration(admin, rows, 1n);
    const before = await countDeadlocks();
    const writers = await Promise.all(Array.from({ length: 6 }, connect));
    await Promise.all(
      writers.map(async (writer) => {
        for (let round = 0; round < 25; round++) {
          const batch = shuffle(rows)
            .slice(0, 40)
            .map((row) => ({ ...row, hardwareReport: newHardware(), installationReport: successOf(1n) }));
          await writeHeartbeats(writer, batch);
        }
      }),
    );
    expect(await countDeadlocks()).toBe(before);
  });
});

const pendingSeven = { generation: 7n, request: Buffer.from([1]) };

async function countDeadlocks(): Promise<number> {
  const { rows } = await admin.query<{ deadlocks: string }>(
    "select deadlocks from pg_stat_database where datname = current_database()",
  );
  return Number(rows[0]?.deadlocks);
}

function shuffle<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

describe("one machine's heartbeats on two connections", () => {
  test("those that wait while a report commits are not handed the finished request", async () => {
    const row = await createRow();
    await giveGeneration(admin, [row], 3n);
    const reporter = await connect();
    await reporter.query("begin");
    // The report's own transaction, its commit put off: its statements nest in the one begun above.
    await writeHeartbeats(uncommitted(reporter), [{ ...row, installationReport: successOf(3n) }]);
    const waiting = (await Promise.all([connect(), connect(), connect()])).map((client) =>
      writeHeartbeats(client, [row]),
    );
    await waitForBlockedSessions(admin, 3);
    await reporter.query("commit");
    for (const [outcome] of await Promise.all(waiting)) {
      expect(outcome).toEqual({ kind: "counted", reportRefused: false });
    }
  });

  test("those that wait while a report is rolled back are handed the request still", async () => {
    const row = await createRow();
    await giveGeneration(admin, [row], 3n);
    const reporter = await connect();
    await reporter.query("begin");
    await writeHeartbeats(uncommitted(reporter), [{ ...row, installationReport: successOf(3n) }]);
    const waiting = writeHeartbeats(await connect(), [row]);
    await waitForBlockedSessions(admin, 1);
    await reporter.query("rollback");
    expect((await waiting).map(pendingOf)).toEqual([3n]);
  });

  test("one that waits while its key is replaced is unauthenticated, and nothing of it is stored", async () => {
    const row = await createRow();
    await requestGeneration(admin, [row], 3n);
    const holder = await holdIdentity(row);
    const load = { signatureNonce: 9n, hardwareReport: newHardware(), installationReport: successOf(3n) };
    const waiting = writeHeartbeats(await connect(), [{ ...row, ...load }]);
    await waitForBlockedSessions(admin, 1);
    const publicKey = randomBytes(32);
    await holder.query("delete from agent_started where machine_id = $1", [row.machineId]);
    await holder.query("insert into agent_started (machine_id, public_key) values ($1, $2)", [
      row.machineId,
      publicKey,
    ]);
    await holder.query("commit");
    expect(await waiting).toEqual([{ kind: "unauthenticated" }]);
    expect(await readNonce(database, row)).toBeUndefined();
    expect(await writeHeartbeats(await connect(), [{ ...row, publicKey }])).toMatchObject([
      { pending: { generation: 3n } },
    ]);
  });

  test("a key that is replaced in place stops one that waits, too", async () => {
    const row = await createRow();
    const holder = await holdIdentity(row);
    const waiting = writeHeartbeats(await connect(), [row]);
    await waitForBlockedSessions(admin, 1);
    await holder.query("update agent_started set public_key = $2 where machine_id = $1", [
      row.machineId,
      randomBytes(32),
    ]);
    await holder.query("commit");
    expect(await waiting).toEqual([{ kind: "unauthenticated" }]);
  });

  test("of equal nonces one counts, and what is stored is the greatest that counted", async () => {
    const row = await createRow();
    const writers = await Promise.all(Array.from({ length: 6 }, connect));
    const nonces = shuffle(Array.from({ length: 40 }, (_, index) => BigInt(index)));
    const counted: bigint[] = [];
    await Promise.all(
      writers.map(async (writer) => {
        for (const signatureNonce of nonces) {
          const [outcome] = await writeHeartbeats(writer, [{ ...row, signatureNonce }]);
          if (outcome?.kind === "counted") counted.push(signatureNonce);
        }
      }),
    );
    expect(new Set(counted).size).toBe(counted.length);
    expect(counted).toContain(39n);
    expect(await readNonce(database, row)).toEqual({ nonce: 39n });
  });

  test("a heartbeat proved by certificate leaves the nonce as it is", async () => {
    const row = await createRow();
    const writer = await connect();
    await writeHeartbeats(writer, [{ ...row, signatureNonce: 50n }]);
    expect(await writeHeartbeats(writer, [row])).toMatchObject([{ kind: "counted" }]);
    expect(await writeHeartbeats(writer, [{ ...row, signatureNonce: 50n }])).toEqual([{ kind: "replayed" }]);
  });
});

describe("a connection that dies", () => {
  let store: HeartbeatStore;

  afterEach(() => store.close());

  test("in the middle of a batch rejects the batch and nothing else, and the next one gets a new connection", async () => {
    store = openHeartbeatStore(database.url, { maxBatches: 1 });
    const [held, other] = (await createHeartbeatRows(admin, 2)) as [HeartbeatRow, HeartbeatRow];
    await store.write([other]);
    const holder = await holdIdentity(held);
    let broken: Partial<pg.DatabaseError>;
    do {
      const writing = store.write([{ ...held, hardwareReport: newHardware() }]).then(
        () => ({}),
        (error: pg.DatabaseError) => error,
      );
      const blocked = waitForBlockedSessions(admin, 1).then(() => true);
      if ((await Promise.race([blocked, writing])) === true) await terminateStores();
      broken = await writing;
      // It may have given up waiting for the row before its connection was broken.
    } while (broken.code === "55P03");
    expect(broken.message).toMatch(/terminat/);
    expect(await store.write([other])).toMatchObject([{ kind: "counted" }]);
    await holder.query("rollback");
    expect(await readNonce(database, held)).toBeUndefined();
    expect(await store.write([held])).toMatchObject([{ kind: "counted" }]);
  });

  test("while it is idle is replaced", async () => {
    store = openHeartbeatStore(database.url, { maxBatches: 2 });
    const rows = await createHeartbeatRows(admin, 2);
    await store.write(rows);
    await terminateStores();
    await expect
      .poll(() => store.write(rows).catch(() => []))
      .toMatchObject([{ kind: "counted" }, { kind: "counted" }]);
  });

  async function terminateStores(): Promise<void> {
    await admin.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = current_database() and application_name = 'bmaas-heartbeat'`,
    );
  }
});
