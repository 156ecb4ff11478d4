/** What the writer does with heartbeats that come at once, go wrong, or are too many. */
import { setImmediate as turn } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createHeartbeatWriter,
  defaultWriterLimits,
  type HeartbeatWriter,
  WriterOverloadedError,
} from "../../src/agent-callback/heartbeat-writer.ts";
import { type HeartbeatStore, openHeartbeatStore } from "../../src/db/heartbeat-store.ts";
import type { HeartbeatRow } from "../../src/db/queries/heartbeat/heartbeat-row.ts";
import { createTestDatabase, openPool, type TestDatabase } from "../support/database.ts";
import { gateStore, idOf, openAll } from "../support/gated-store.ts";
import { createHeartbeatRows, giveGeneration, successOf } from "../support/heartbeat-rows.ts";
import { waitForBlockedSessions } from "../support/wait.ts";

let database: TestDatabase;
let admin: pg.Pool;
let store: HeartbeatStore;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = openPool(database.url, { max: 2 });
  store = openHeartbeatStore(database.url, { maxBatches: 3 });
});

afterAll(async () => {
  await store?.close();
  await admin?.end();
  await database?.close();
});

const listening = new AbortController().signal;

const counted = { kind: "counted", reportRefused: false };
const gatedStore = () => gateStore(store);
const many = (count: number) => createHeartbeatRows(admin, count);

describe("batches", () => {
  test("an idle writer writes at once, and what comes meanwhile goes as one batch", async () => {
    const rows = await many(5);
    const gated = gatedStore();
    const writer = createHeartbeatWriter(gated, { ...defaultWriterLimits, maxBatches: 1 });
    const [first, ...others] = rows.map((row) => writer.write(row, listening));
    expect(gated.ids()).toEqual([rows.slice(0, 1).map(idOf)]);
    gated.batches[0]?.open();
    expect(await first).toEqual(counted);
    await turn();
    expect(gated.ids()).toEqual([rows.slice(0, 1).map(idOf), rows.slice(1).map(idOf)]);
    gated.batches[1]?.open();
    expect(await Promise.all(others)).toEqual(others.map(() => counted));
  });

  test("beside one that is under way others begin when they are a good part of a whole one, or when it takes long", async () => {
    const rows = await many(70);
    const gated = gatedStore();
    const writer = createHeartbeatWriter(gated);
    const answers = rows.map((row) => writer.write(row, listening));
    expect(gated.ids()).toEqual([rows.slice(0, 1).map(idOf), rows.slice(1, 65).map(idOf)]);
    await turn();
    expect(gated.batches.length).toBe(2);
    await expect.poll(() => gated.ids()[2]).toEqual(rows.slice(65).map(idOf));
    for (const batch of gated.batches) batch.open();
    expect(await Promise.all(answers)).toEqual(rows.map(() => counted));
  });

  test("no more are under way than allowed, none is larger than allowed, and each heartbeat is answered", async () => {
    const rows = await many(200);
    let underWay = 0;
    let mostUnderWay = 0;
    let largest = 0;
    const writer = createHeartbeatWriter(
      {
        async write(batch) {
          mostUnderWay = Math.max(mostUnderWay, ++underWay);
          largest = Math.max(largest, batch.length);
          return store.write(batch).finally(() => underWay--);
        },
      },
      { maxBatchRows: 32, maxBatches: 3, maxQueued: 1000 },
    );
    const outcomes = await Promise.all(rows.map((row) => writer.write(row, listening)));
    expect(outcomes).toEqual(rows.map(() => counted));
    expect({ mostUnderWay, largest }).toEqual({ mostUnderWay: 3, largest: 32 });
  });

  test("a heartbeat's answer waits for its own commit only", async () => {
    const [slow, quick] = (await many(2)) as [HeartbeatRow, HeartbeatRow];
    const gated = gatedStore();
    const writer = createHeartbeatWriter(gated);
    let isSlowAnswered = false;
    const answered = writer.write(slow, listening).then(() => {
      isSlowAnswered = true;
    });
    const quickly = writer.write(quick, listening);
    await expect.poll(() => gated.batches.length).toBe(2);
    gated.batches[1]?.open();
    expect(await quickly).toEqual(counted);
    expect(isSlowAnswered).toBe(false);
    gated.batches[0]?.open();
    await answered;
  });
});

describe("one machine's heartbeats", () => {
  test("are written one after another in the order in which they came, whatever else there is room for", async () => {
    const [row, other] = (await many(2)) as [HeartbeatRow, HeartbeatRow];
    const gated = gatedStore();
    const writer = createHeartbeatWriter(gated);
    const answers = [1n, 2n, 3n].map((signatureNonce) => writer.write({ ...row, signatureNonce }, listening));
    const otherAnswer = writer.write(other, listening);
    await expect.poll(() => gated.ids()).toEqual([[row.machineId], [other.machineId]]);
    for (let batch = 0; batch < 4; batch++) {
      await expect.poll(() => gated.batches.length).toBeGreaterThan(batch);
      gated.batches[batch]?.open();
    }
    // Out of order, the greater nonce would have made a replay of the smaller one.
    expect(await Promise.all(answers)).toEqual([counted, counted, counted]);
    expect(await otherAnswer).toEqual(counted);
  });

  test("do not wait behind those that a stranger sends under their machine's id", async () => {
    const [row] = (await many(1)) as [HeartbeatRow];
    const gated = gatedStore();
    const writer = createHeartbeatWriter(gated, { ...defaultWriterLimits, maxBatches: 2 });
    const forged = { ...row, publicKey: new Uint8Array(32) };
    const refusals = [1, 2, 3].map(() => writer.write(forged, listening));
    const answer = writer.write(row, listening);
    await expect.poll(() => gated.batches.map(({ rows }) => rows)).toEqual([[forged], [row]]);
    gated.batches[1]?.open();
    expect(await answer).toEqual(counted);
    const opening = openAll(gated);
    expect(await Promise.all(refusals)).toEqual(refusals.map(() => ({ kind: "unauthenticated" })));
    opening.stop();
  });

  test("that wait for a row which somebody holds leave room for all others", async () => {
    const [held, ...others] = (await many(20)) as [HeartbeatRow, ...HeartbeatRow[]];
    const writer = createHeartbeatWriter(store);
    const holder = await hold(held);
    // One that has waited for too long is rejected, and sent again.
    const insist = (): ReturnType<typeof writer.write> =>
      writer.write(held, listening).catch((error) => (error.code === "55P03" ? insist() : Promise.reject(error)));
    const stuck = [1, 2, 3, 4].map(insist);
    await waitForBlockedSessions(admin, 1);
    expect(await Promise.all(others.map((row) => writer.write(row, listening)))).toEqual(others.map(() => counted));
    await holder.letGo();
    expect(await Promise.all(stuck)).toEqual(stuck.map(() => counted));
  });

  test("that wait too long hurt none of their batch", async () => {
    const rows = await many(12);
    const held = rows[5] as HeartbeatRow;
    const gated = gatedStore();
    const writer = createHeartbeatWriter(gated, { ...defaultWriterLimits, maxBatches: 1 });
    const holder = await hold(held);
    const settled = Promise.allSettled(rows.map((row) => writer.write(row, listening)));
    const opening = openAll(gated);
    expect((await settled).map((answer) => (answer.status === "rejected" ? answer.reason.code : "ok"))).toEqual(
      rows.map((row) => (row === held ? "55P03" : "ok")),
    );
    opening.stop();
    await holder.letGo();
  });
});

/** Holds a machine's identity, as an operator's transaction does. */
async function hold({ machineId }: HeartbeatRow) {
  const holder = await admin.connect();
  await holder.query("begin");
  await holder.query("select from agent_started where machine_id = $1 for update", [machineId]);
  return { letGo: () => holder.query("rollback").then(() => holder.release()) };
}

describe("a heartbeat that PostgreSQL refuses", () => {
  test("is rejected alone; the rest of its batch counts", async () => {
    const rows = await many(9);
    const gated = gatedStore();
    await giveGeneration(admin, rows, 1n);
    const writer = createHeartbeatWriter(gated, { ...defaultWriterLimits, maxBatches: 1 });
    const poison = { ...successOf(1n), result: "error" as const, error: "a text with \0 in it" };
    const before = writer.write((await many(1))[0] as HeartbeatRow, listening);
    const answers = rows.map((row, index) =>
      writer.write({ ...row, installationReport: index === 4 ? poison : successOf(1n) }, listening),
    );
    const settled = Promise.allSettled(answers);
    const opening = openAll(gated);
    await before;
    expect((await settled).map((answer) => answer.status)).toEqual(
      rows.map((_row, index) => (index === 4 ? "rejected" : "fulfilled")),
    );
    opening.stop();
    expect(gated.batches.map(({ rows: batch }) => batch.length)).toEqual([1, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    const { rows: stored } = await admin.query<{ id: string }>(
      "select machine_id as id from os_installation_report where machine_id = any($1)",
      [rows.map(idOf)],
    );
    expect(stored.map(({ id }) => id).sort()).toEqual(
      rows
        .map(idOf)
        .filter((_id, index) => index !== 4)
        .sort(),
    );
  });

  test("for a deadlock's sake is written again", async () => {
    const rows = await many(3);
    let failures = 4;
    const writer = createHeartbeatWriter({
      write: (batch) => (failures-- > 0 ? Promise.reject(refusal("40P01")) : store.write(batch)),
    });
    expect(await Promise.all(rows.map((row) => writer.write(row, listening)))).toEqual(rows.map(() => counted));
  });

  test("for a deadlock's sake again and again is given up", async () => {
    let writes = 0;
    const writer = createHeartbeatWriter({
      write: () => {
        writes++;
        return Promise.reject(refusal("40P01"));
      },
    });
    await expect(writer.write((await many(1))[0] as HeartbeatRow, listening)).rejects.toMatchObject({ code: "40P01" });
    expect(writes).toBe(6);
  });
});

function refusal(code: string): pg.DatabaseError {
  const error = new pg.DatabaseError(code, 0, "error");
  error.code = code;
  return error;
}

describe("a database in trouble", () => {
  /** A batch of all rows but the first, which goes alone before it. */
  async function writeBatch(writer: HeartbeatWriter, rows: readonly HeartbeatRow[]) {
    return Promise.allSettled(rows.map((row) => writer.write(row, listening)));
  }

  test("a lost connection rejects its whole batch, and nothing of it is tried again", async () => {
    const sizes: number[] = [];
    const writer = createHeartbeatWriter(
      {
        write: (batch) => {
          sizes.push(batch.length);
          return batch.length === 1
            ? store.write(batch)
            : Promise.reject(new Error("Connection terminated unexpectedly"));
        },
      },
      { ...defaultWriterLimits, maxBatches: 1 },
    );
    const settled = await writeBatch(writer, await many(8));
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", ...Array.from({ length: 7 }, () => "rejected")]);
    expect(sizes).toEqual([1, 7]);
  });

  test("lost while rows are tried one by one, the rest is rejected at once", async () => {
    const sizes: number[] = [];
    const writer = createHeartbeatWriter(
      {
        write: (batch) => {
          sizes.push(batch.length);
          if (sizes.length <= 2) return sizes.length === 1 ? store.write(batch) : Promise.reject(refusal("22021"));
          return sizes.length === 3
            ? store.write(batch)
            : Promise.reject(new Error("Connection terminated unexpectedly"));
        },
      },
      { ...defaultWriterLimits, maxBatches: 1 },
    );
    const settled = await writeBatch(writer, await many(8));
    expect(settled.map(({ status }) => status).filter((status) => status === "fulfilled")).toHaveLength(2);
    expect(sizes).toEqual([1, 7, 1, 1]);
  });
});

describe("a heartbeat whose caller has gone", () => {
  test("before its batch began is dropped and not written", async () => {
    const [first, gone, stays] = (await many(3)) as [HeartbeatRow, HeartbeatRow, HeartbeatRow];
    const gated = gatedStore();
    const writer = createHeartbeatWriter(gated, { ...defaultWriterLimits, maxBatches: 1 });
    const caller = new AbortController();
    const answers = Promise.allSettled([
      writer.write(first, listening),
      writer.write(gone, caller.signal),
      writer.write(stays, listening),
    ]);
    caller.abort(new Error("the caller hung up"));
    gated.batches[0]?.open();
    await expect.poll(() => gated.batches.length).toBe(2);
    gated.batches[1]?.open();
    expect(await answers).toMatchObject([
      { value: counted },
      { reason: { message: "the caller hung up" } },
      { value: counted },
    ]);
    expect(gated.ids()).toEqual([[first.machineId], [stays.machineId]]);
  });

  test("while its batch is written counts all the same", async () => {
    const [row] = (await many(1)) as [HeartbeatRow];
    const gated = gatedStore();
    const caller = new AbortController();
    const answer = createHeartbeatWriter(gated).write(row, caller.signal);
    caller.abort();
    gated.batches[0]?.open();
    expect(await answer).toEqual(counted);
  });
});

test("heartbeats beyond what may wait are refused, and room is made as batches end", async () => {
  const rows = await many(4);
  const gated = gatedStore();
  const writer = createHeartbeatWriter(gated, { maxBatchRows: 10, maxBatches: 1, maxQueued: 2 });
  const accepted = rows.slice(0, 3).map((row) => writer.write(row, listening));
  await expect(writer.write(rows[3] as HeartbeatRow, listening)).rejects.toThrow(WriterOverloadedError);
  gated.batches[0]?.open();
  await expect.poll(() => gated.batches.length).toBe(2);
  const late = writer.write(rows[3] as HeartbeatRow, listening);
  gated.batches[1]?.open();
  await expect.poll(() => gated.batches.length).toBe(3);
  gated.batches[2]?.open();
  expect(await Promise.all([...accepted, late])).toEqual(rows.map(() => counted));
});

describe("urgent heartbeats", () => {
  const limits = { maxBatchRows: 2, maxBatches: 1, maxQueued: 3 };

  test("go before all heartbeats that wait, but not before their own agent's", async () => {
    const [first, hardware, other, reporter] = (await many(4)) as [
      HeartbeatRow,
      HeartbeatRow,
      HeartbeatRow,
      HeartbeatRow,
    ];
    await giveGeneration(admin, [reporter], 1n);
    const gated = gatedStore();
    const writer = createHeartbeatWriter(gated, { ...limits, maxBatchRows: 1, maxQueued: 10 });
    const report = { ...reporter, signatureNonce: 2n, installationReport: successOf(1n) };
    const answers = [first, hardware, { ...reporter, signatureNonce: 1n }, other, report].map((row) =>
      writer.write(row, listening, row === report),
    );
    const opening = openAll(gated);
    expect(await Promise.all(answers)).toMatchObject(answers.map(() => counted));
    opening.stop();
    expect(gated.ids()).toEqual([first, reporter, reporter, hardware, other].map((row) => [row.machineId]));
  });

  test("are taken when no other heartbeat is any more, up to a bound of their own", async () => {
    const rows = await many(8);
    await giveGeneration(admin, rows.slice(4), 1n);
    const gated = gatedStore();
    const writer = createHeartbeatWriter(gated, limits);
    const answers = rows.slice(0, 4).map((row) => writer.write(row, listening));
    const report = (row: HeartbeatRow | undefined) =>
      writer.write({ ...(row as HeartbeatRow), installationReport: successOf(1n) }, listening, true);
    await expect(writer.write(rows[4] as HeartbeatRow, listening)).rejects.toThrow(WriterOverloadedError);
    const reports = rows.slice(4, 7).map(report);
    await expect(report(rows[7])).rejects.toThrow(WriterOverloadedError);
    const opening = openAll(gated);
    expect(await Promise.all([...answers, ...reports])).toEqual(rows.slice(0, 7).map(() => counted));
    opening.stop();
    expect(gated.ids().slice(0, 2)).toEqual([[rows[0]?.machineId], [rows[4]?.machineId, rows[5]?.machineId]]);
  });
});

test("how long a heartbeat would wait is told from full batches, and from what waits", async () => {
  const rows = await many(9);
  const gated = gatedStore();
  const writer = createHeartbeatWriter(gated, { maxBatchRows: 4, maxBatches: 1, maxQueued: 10 });
  const answers = rows.map((row) => writer.write(row, listening));
  expect(writer.expectedWaitMs).toBe(0);
  gated.batches[0]?.open();
  await expect.poll(() => gated.batches.length).toBe(2);
  await new Promise((resolve) => setTimeout(resolve, 50));
  gated.batches[1]?.open();
  await expect.poll(() => gated.batches.length).toBe(3);
  expect(writer.expectedWaitMs).toBe(0);
  answers.push(...(await many(4)).map((row) => writer.write(row, listening)));
  // As many wait as the last batch had, which took 50 ms at least.
  expect(writer.expectedWaitMs).toBeGreaterThan(49);
  const opening = openAll(gated);
  await Promise.all(answers);
  opening.stop();
  expect(writer.expectedWaitMs).toBe(0);
});
