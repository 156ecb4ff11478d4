/** The upkeep stores what older servers left out, and knows what two machines have at once, however they raced. */
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Identifier } from "../../src/contract/identifiers.ts";
import { runIdentifierUpkeep, startIdentifierUpkeep } from "../../src/db/identifier-upkeep.ts";
import type { HeartbeatRow } from "../../src/db/queries/heartbeat/heartbeat-row.ts";
import { writeHeartbeats } from "../../src/db/queries/heartbeat/write-heartbeats.ts";
import { compareMachines, tryUpkeepLock } from "../../src/db/queries/machine-identifier.ts";
import { machineIdentifier, sharedIdentifier, uncomparedMachine } from "../../src/db/schema/index.ts";
import { transact } from "../../src/db/transact.ts";
import { captureScans } from "../support/captured-plans.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { createHeartbeatRows, newHardware, newIdentifier } from "../support/heartbeat-rows.ts";
import { createCollectingLog, type LogLine } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";

let database: TestDatabase;
let client: pg.Client;
beforeEach(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url, pipeline: true });
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await database.close();
});

const never = new AbortController().signal;
const read = () => [];
const run = () => runIdentifierUpkeep(database.db, read, never);

async function newMachines(count: number): Promise<HeartbeatRow[]> {
  const rows = await createHeartbeatRows(client, count);
  return rows.sort((x, y) => (x.machineId < y.machineId ? -1 : 1));
}

const report = (row: HeartbeatRow | undefined, ...identifiers: Identifier[]) =>
  writeHeartbeats(client, [{ ...(row as HeartbeatRow), hardwareReport: { ...newHardware(), identifiers } }]);

/** The machines with a shared identifier, as places in `rows`, each with the other one. */
async function listShared(rows: readonly HeartbeatRow[]): Promise<[number, number][]> {
  const place = (id: string) => rows.findIndex(({ machineId }) => machineId === id);
  const shared = await database.db.select().from(sharedIdentifier);
  return shared
    .map(({ machineId, otherMachineId }): [number, number] => [place(machineId), place(otherMachineId)])
    .sort((x, y) => x[0] - y[0]);
}

const countMarked = () =>
  database.db.$client
    .query<{ marked: number }>("select count(*)::int as marked from machine_identifier where is_shared")
    .then(({ rows }) => rows[0]?.marked);

test("two machines with one value are listed, each with the other, since both have it", async () => {
  const rows = await newMachines(3);
  const shared = newIdentifier("serial_number");
  await report(rows[0], shared, newIdentifier("mac"));
  await run();
  expect(await listShared(rows)).toEqual([]);
  await report(rows[1], shared);
  await report(rows[2], newIdentifier("serial_number"));
  expect(await listShared(rows), "at once on the one that came last").toEqual([[1, 0]]);
  await run();
  expect(await listShared(rows)).toEqual([
    [0, 1],
    [1, 0],
  ]);
  const [{ since } = {}, other] = await database.db.select().from(sharedIdentifier);
  const held = await database.db.select().from(machineIdentifier);
  const later = held.find(({ machineId }) => machineId === rows[1]?.machineId);
  expect([since, other?.since]).toEqual([later?.since, later?.since]);
  expect(await database.db.$count(uncomparedMachine)).toBe(0);
});

test("a value that one of two machines loses is listed no more, and marked no more once they are compared", async () => {
  const rows = await newMachines(2);
  const shared = newIdentifier("disk_wwn");
  for (const row of rows) await report(row, shared);
  await run();
  expect(await countMarked()).toBe(2);
  await report(rows[1]);
  expect(await listShared(rows)).toEqual([]);
  await run();
  const { rows: marked } = await database.db.$client.query(
    "select from machine_identifier where is_shared and gone_at is null",
  );
  expect(marked).toEqual([]);
  await report(rows[1], shared);
  await run();
  expect(await listShared(rows)).toHaveLength(2);
  await database.db.$client.query("delete from machine where id = $1", [rows[0]?.machineId]);
  expect(await listShared(rows)).toEqual([]);
});

test("serial numbers of disks are compared within one vendor and model, kinds never with one another", async () => {
  const rows = await newMachines(4);
  const value = "s1";
  await report(rows[0], newIdentifier("disk_serial_number", value, { scope: "model a" }));
  await report(rows[1], newIdentifier("disk_serial_number", value, { scope: "model b" }));
  await report(rows[2], newIdentifier("serial_number", value), newIdentifier("board_serial_number", value));
  await run();
  expect(await listShared(rows)).toEqual([]);
  await report(rows[3], newIdentifier("disk_serial_number", value, { scope: "model b" }));
  await run();
  expect(await listShared(rows)).toEqual([
    [1, 3],
    [3, 1],
  ]);
});

test("machines that report one value in transactions at the same time are found, whichever commits first", async () => {
  const rows = await newMachines(2);
  const shared = newIdentifier("mac");
  const second = new pg.Client({ connectionString: database.url });
  await second.connect();
  await report(rows[0]);
  // What a heartbeat writes, in a transaction that stays open while the other one commits and is compared.
  await second.query("begin");
  await second.query(
    `insert into machine_identifier (machine_id, kind, value, scope, shown, part, first_seen_at, since)
     values ($1, 'mac', $2, '', '', '', now(), now())`,
    [rows[0]?.machineId, shared.value],
  );
  await second.query("delete from uncompared_machine where machine_id = $1", [rows[0]?.machineId]);
  await second.query("insert into uncompared_machine (machine_id) values ($1)", [rows[0]?.machineId]);
  await report(rows[1], shared);
  await run();
  expect(await listShared(rows)).toEqual([]);
  await second.query("commit");
  await second.end();
  expect(await listShared(rows)).toEqual([[0, 1]]);
  await run();
  expect(await listShared(rows)).toEqual([
    [0, 1],
    [1, 0],
  ]);
});

test("a machine that changes while it is compared stays on the list", async () => {
  const [row] = await newMachines(1);
  await report(row, newIdentifier("mac"));
  const second = new pg.Client({ connectionString: database.url });
  await second.connect();
  await second.query("begin");
  await second.query("update uncompared_machine set transaction = pg_current_xact_id()");
  const { rows: uncompared } = await database.db.$client.query("select machine_id from uncompared_machine");
  expect(await transact(database.db, (tx) => compareMachines(tx, 10))).toBe(uncompared.length);
  await second.query("commit");
  await second.end();
  expect(await database.db.$count(uncomparedMachine)).toBe(1);
  await run();
  expect(await database.db.$count(uncomparedMachine)).toBe(0);
});

test("a thousand machines with one value are each listed with one other, and cost no more than their number", async () => {
  const rows = await newMachines(1200);
  const shared = newIdentifier("serial_number", "same-on-all");
  const hardware = rows.map((row) => ({ ...row, hardwareReport: { ...newHardware(), identifiers: [shared] } }));
  for (let at = 0; at < rows.length; at += 400) await writeHeartbeats(client, hardware.slice(at, at + 400));
  await run();
  expect(await countMarked()).toBe(1200);
  await database.db.$client.query("vacuum analyze");
  const scans = await captureScans(database.url, (db) => db.select().from(sharedIdentifier));
  expect(scans.reduce((sum, scan) => sum + scan.rows, 0)).toBeLessThan(10 * 1200);
});

test("reports of servers that stored no identifiers are read, all of them, and none twice", async () => {
  const rows = await newMachines(120);
  const found = newIdentifier("serial_number", "found-later");
  await writeHeartbeats(
    client,
    rows.map((row) => ({ ...row, hardwareReport: { ...newHardware(), identifiers: [] } })),
  );
  await database.db.$client.query("update hardware_report set identified_at = null");
  const seen: Uint8Array[] = [];
  const readOne = (bytes: Uint8Array) => {
    seen.push(bytes);
    return [found];
  };
  expect(await runIdentifierUpkeep(database.db, readOne, never)).toEqual({ reports: 120 });
  expect(seen).toHaveLength(120);
  expect(await runIdentifierUpkeep(database.db, readOne, never)).toEqual({ reports: 0 });
  const { rows: wrong } = await database.db.$client.query(
    `select from hardware_report left join machine_identifier using (machine_id)
      where value is distinct from 'found-later' or since <> reported_at or identified_at <> reported_at or not is_shared`,
  );
  expect(wrong).toEqual([]);
});

test("a report of an older server that replaces another one is read again, and what it lacks is gone", async () => {
  const [row] = await newMachines(1);
  await report(row, newIdentifier("serial_number", "old"));
  await database.db.$client.query("update hardware_report set reported_at = now(), report = '\\x01'");
  expect(await runIdentifierUpkeep(database.db, () => [newIdentifier("serial_number", "new")], never)).toEqual({
    reports: 1,
  });
  const stored = await database.db.select().from(machineIdentifier).orderBy(machineIdentifier.value);
  expect(stored.map(({ value, goneAt }) => [value, goneAt === null])).toEqual([
    ["new", true],
    ["old", false],
  ]);
});

test("of what is gone the newest 1,024 are kept", async () => {
  const [row] = await newMachines(1);
  for (let round = 0; round < 3; round++) {
    const identifiers = Array.from({ length: 1000 }, (_, index) => newIdentifier("disk_wwn", `${round}-${index}`));
    await report(row, ...identifiers);
  }
  await run();
  const { rows } = await database.db.$client.query(
    `select split_part(value, '-', 1) as round, count(*)::int from machine_identifier group by 1 order by 1`,
  );
  expect(rows).toEqual([
    { round: "0", count: 24 },
    { round: "1", count: 1000 },
    { round: "2", count: 1000 },
  ]);
});

test("leaves it to another server that is at it", async () => {
  const [row] = await newMachines(1);
  await report(row, newIdentifier("mac"));
  await transact(database.db, async (tx) => {
    expect(await tryUpkeepLock(tx)).toBe(true);
    await run();
    expect(await database.db.$count(uncomparedMachine)).toBe(1);
  });
  await run();
  expect(await database.db.$count(uncomparedMachine)).toBe(0);
});

test("compares a few machines among many without reading the others, and reads nothing when there is nothing to do", async () => {
  const rows = await newMachines(3000);
  const hardware = rows.map((row) => ({ ...row, hardwareReport: newHardware() }));
  for (let at = 0; at < rows.length; at += 500) await writeHeartbeats(client, hardware.slice(at, at + 500));
  await run();
  await database.db.$client.query("vacuum analyze");
  const idle = await captureScans(database.url, (db) => runIdentifierUpkeep(db, read, never));
  expect(idle.map((scan) => [scan.relation, scan.rows]).toSorted()).toEqual([
    ["hardware_report", 0],
    ["uncompared_machine", 0],
  ]);
  await report(rows[7], newIdentifier("mac"), newIdentifier("serial_number"));
  const scans = await captureScans(database.url, (db) => runIdentifierUpkeep(db, read, never));
  expect(scans.reduce((sum, scan) => sum + scan.rows, 0)).toBeLessThan(200);
});

test("runs until it is closed, and says when the database is away", async () => {
  const rows = await newMachines(2);
  const logged: LogLine[] = [];
  const upkeep = startIdentifierUpkeep(database.db, { read, log: createCollectingLog(logged) });
  const shared = newIdentifier("mac");
  for (const row of rows) await report(row, shared);
  await waitUntil("all are compared", async () => (await database.db.$count(uncomparedMachine)) === 0);
  expect(await listShared(rows)).toHaveLength(2);
  await upkeep.close();
  await report(rows[0]);
  await upkeep.close();
  expect(await database.db.$count(uncomparedMachine)).toBe(1);
  expect(logged).toEqual([]);
  const { db, close } = await createTestDatabase();
  await close();
  const failing = startIdentifierUpkeep(db, { read, log: createCollectingLog(logged) });
  await waitUntil("the failure is logged", () => logged.length > 0);
  await failing.close();
  expect(logged[0]).toMatchObject({ level: 40, msg: expect.stringContaining("the database is unreachable") });
});
