/**
 * What every heartbeat leaves of its agent: until when silence is normal, since when it lives, its version and its
 * boots.
 */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HeartbeatRow } from "../../../../src/db/queries/heartbeat/heartbeat-row.ts";
import { writeHeartbeats } from "../../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { createTestDatabase, openPool, type TestDatabase } from "../../../support/database.ts";
import { createHeartbeatRows, requestGeneration } from "../../../support/heartbeat-rows.ts";
import { readTags } from "../../../support/machine.ts";
import { observe } from "../../../support/observer.ts";
import { waitForBlockedSessions } from "../../../support/wait.ts";

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = openPool(database.url, { max: 6, pipeline: true });
});

afterAll(async () => {
  await pool?.end();
  await database?.close();
});

async function createRow(): Promise<HeartbeatRow> {
  const [row] = await createHeartbeatRows(pool, 1);
  return row as HeartbeatRow;
}

async function beat(row: HeartbeatRow) {
  const client = await pool.connect();
  try {
    return (await writeHeartbeats(client, [row]))[0];
  } finally {
    client.release();
  }
}

/** What is stored, with times in milliseconds after the heartbeat. */
async function readLife({ machineId }: HeartbeatRow) {
  const [row] = await observe(database)<
    { quiet: number; alive: number; version: string | null; boot: string | null }[]
  >`
    select (extract(epoch from quiet_until - heartbeat_at) * 1000)::int as quiet,
           (extract(epoch from alive_since - heartbeat_at) * 1000)::int as alive,
           agent_version as version, boot_id as boot
      from agent_heartbeat where machine_id = ${machineId}`;
  return row;
}

async function readBoots({ machineId }: HeartbeatRow) {
  const { history } = await readTags(database, machineId);
  return history.flatMap(({ actor, kind, detail }) => (kind === "agent_booted" ? [{ actor, detail }] : []));
}

/** Moves what was stored into the past. */
async function age({ machineId }: HeartbeatRow, seconds: number): Promise<void> {
  await pool.query(
    `update agent_heartbeat
        set heartbeat_at = heartbeat_at - $2 * interval '1 s', alive_since = alive_since - $2 * interval '1 s',
            quiet_until = quiet_until - $2 * interval '1 s'
      where machine_id = $1`,
    [machineId, seconds],
  );
}

test("silence is normal for the allowance, or for longer when the agent announces it", async () => {
  const row = await createRow();
  await beat(row);
  expect((await readLife(row))?.quiet).toBe(90_000);
  await beat({ ...row, silenceAllowanceMs: 300_000 });
  expect((await readLife(row))?.quiet).toBe(300_000);
  await beat({ ...row, installationProgress: { generation: 1n, quietForMs: 600_000 } });
  expect((await readLife(row))?.quiet).toBe(600_000);
  await beat({ ...row, installationProgress: { generation: 1n, quietForMs: 1000 } });
  expect((await readLife(row))?.quiet).toBe(90_000);
  await beat({ ...row, silenceAllowanceMs: 300_000, installationProgress: { generation: 1n, quietForMs: 1000 } });
  expect((await readLife(row))?.quiet).toBe(300_000);
});

test("an agent lives since its first heartbeat, or the first after a silence that was not normal", async () => {
  const row = await createRow();
  await beat(row);
  expect((await readLife(row))?.alive).toBe(0);
  await age(row, 80);
  await beat(row);
  expect((await readLife(row))?.alive).toBeLessThanOrEqual(-80_000);
  await age(row, 91);
  await beat(row);
  expect((await readLife(row))?.alive).toBe(0);
});

test("a silence that was announced is normal", async () => {
  const row = await createRow();
  await beat({ ...row, installationProgress: { generation: 1n, quietForMs: 900_000 } });
  await age(row, 890);
  await beat(row);
  expect((await readLife(row))?.alive).toBeLessThanOrEqual(-890_000);
});

test("version and boot id stay when a heartbeat does not say them", async () => {
  const row = await createRow();
  await beat({ ...row, agentVersion: "1.0", bootId: "a" });
  await beat(row);
  expect(await readLife(row)).toMatchObject({ version: "1.0", boot: "a" });
  await beat({ ...row, agentVersion: "1.1" });
  expect(await readLife(row)).toMatchObject({ version: "1.1", boot: "a" });
});

test("a boot is on record with both ids, the first id that is ever known is none", async () => {
  const row = await createRow();
  await beat(row);
  for (const bootId of ["a", "a", "b", "b"]) await beat({ ...row, bootId });
  const actor = `agent:${Buffer.from(row.publicKey).toString("hex")}`;
  expect(await readBoots(row)).toEqual([{ actor, detail: { bootId: "b", previousBootId: "a" } }]);
});

test("heartbeats of one boot that wait for each other record it once", async () => {
  const row = await createRow();
  await beat({ ...row, bootId: "a" });
  const holder = await pool.connect();
  await holder.query("begin");
  await holder.query("select from agent_started where machine_id = $1 for update", [row.machineId]);
  const waiting = [1, 2, 3].map(() => beat({ ...row, bootId: "b" }));
  await waitForBlockedSessions(pool, 3);
  await holder.query("rollback");
  holder.release();
  await Promise.all(waiting);
  expect(await readBoots(row)).toHaveLength(1);
});

test("a boot that cannot be recorded now hands out no installation, and the next heartbeat records it", async () => {
  const row = await createRow();
  await requestGeneration(pool, [row], 1n);
  await beat({ ...row, bootId: "a" });
  const holder = await pool.connect();
  await holder.query("begin");
  await holder.query("lock table agent_past in exclusive mode");
  const client = new pg.Client({ connectionString: database.url, pipeline: true, lock_timeout: 100 });
  await client.connect();
  const booted = { ...row, bootId: "b" };
  expect(await writeHeartbeats(client, [booted])).toEqual([{ kind: "counted", reportRefused: false }]);
  expect(await readLife(row)).toMatchObject({ boot: "a" });
  await holder.query("rollback");
  holder.release();
  expect(await writeHeartbeats(client, [booted])).toMatchObject([{ pending: { generation: 1n } }]);
  await client.end();
  expect(await readLife(row)).toMatchObject({ boot: "b" });
  expect(await readBoots(row)).toHaveLength(1);
});

test("heartbeats that do not count leave nothing", async () => {
  const row = await createRow();
  await beat({ ...row, signatureNonce: 5n, agentVersion: "1.0", bootId: "a" });
  const stored = await readLife(row);
  const forged = { agentVersion: "2.0", bootId: "b", installationProgress: { generation: 1n, quietForMs: 600_000 } };
  expect(await beat({ ...row, ...forged, publicKey: randomBytes(32) })).toEqual({ kind: "unauthenticated" });
  for (const signatureNonce of [5n, 4n]) {
    expect(await beat({ ...row, ...forged, signatureNonce })).toEqual({ kind: "replayed" });
  }
  expect(await readLife(row)).toEqual(stored);
  expect(await readBoots(row)).toEqual([]);
});
