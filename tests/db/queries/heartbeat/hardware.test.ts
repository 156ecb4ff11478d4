/**
 * What becomes of hardware reports: the last ten that differ are kept, and the newest one's figures stand beside it.
 */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HardwareReportRow, HeartbeatRow } from "../../../../src/db/queries/heartbeat/heartbeat-row.ts";
import { writeHeartbeats } from "../../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { createTestDatabase, type TestDatabase } from "../../../support/database.ts";
import { createHeartbeatRows, newHardware } from "../../../support/heartbeat-rows.ts";
import { readTags, replaceAgentKey } from "../../../support/machine.ts";
import { observe } from "../../../support/observer.ts";

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url, pipeline: true });
  await client.connect();
});

afterAll(async () => {
  await client?.end();
  await database?.close();
});

const hex = ({ report }: { readonly report: Uint8Array }) => Buffer.from(report).toString("hex");

/** The reports that have been replaced, oldest first. */
async function listPast({ machineId }: HeartbeatRow): Promise<string[]> {
  const rows = await observe(database)<{ report: Buffer }[]>`
    select report from hardware_report_past where machine_id = ${machineId} order by id`;
  return rows.map(hex);
}

async function readStored({ machineId }: HeartbeatRow) {
  const { hardware } = await readTags(database, machineId);
  if (hardware === undefined) throw new Error(`no hardware is stored of ${machineId}`);
  return hardware;
}

test("of reports that change in turn the last ten are kept, for each machine", async () => {
  const machines = await createHeartbeatRows(client, 3);
  const reports = Array.from({ length: 14 }, () => newHardware());
  for (const hardwareReport of reports) {
    const batch = machines.map((row) => ({ ...row, hardwareReport }));
    await writeHeartbeats(client, batch);
    await writeHeartbeats(client, batch);
  }
  for (const row of machines) {
    expect(await listPast(row)).toEqual(reports.slice(4, 13).map(hex));
    expect(hex(await readStored(row))).toBe(hex(reports[13] as HardwareReportRow));
  }
});

test("a report that was replaced keeps the time at which it arrived", async () => {
  const [row] = (await createHeartbeatRows(client, 1)) as [HeartbeatRow];
  await writeHeartbeats(client, [{ ...row, hardwareReport: newHardware() }]);
  const { reportedAt } = await readStored(row);
  await writeHeartbeats(client, [{ ...row, hardwareReport: newHardware() }]);
  const past = await observe(database)`
    select reported_at from hardware_report_past where machine_id = ${row.machineId}`;
  expect([...past]).toEqual([{ reportedAt }]);
  expect((await readStored(row)).reportedAt.getTime()).toBeGreaterThan(reportedAt.getTime());
});

test("the figures are stored with the report, as far as the columns reach", async () => {
  const [row] = (await createHeartbeatRows(client, 1)) as [HeartbeatRow];
  const figures = {
    memoryBytes: 2n ** 63n - 1n,
    cpuThreads: 2 ** 31 - 1,
    diskBytes: 2n ** 63n - 1n,
    largestDiskBytes: 4n,
  };
  const names = { manufacturer: "ACME", product: "X1", serialNumber: "größer" };
  await writeHeartbeats(client, [{ ...row, hardwareReport: { ...newHardware(), ...figures, ...names } }]);
  expect(await readStored(row)).toMatchObject({
    manufacturer: "ACME",
    product: "X1",
    serialNumber: "größer",
    memoryBytes: 9223372036854775807n,
    cpuThreads: 2147483647,
    diskBytes: 9223372036854775807n,
    largestDiskBytes: 4n,
  });
});

test("a report from before there were figures gets them when it comes again, and stays the report it is", async () => {
  const [row] = (await createHeartbeatRows(client, 1)) as [HeartbeatRow];
  const hardwareReport = newHardware();
  await client.query(
    "insert into hardware_report (machine_id, reported_at, report) values ($1, '2026-01-01T00:00:00Z', $2)",
    [row.machineId, hardwareReport.report],
  );
  await writeHeartbeats(client, [{ ...row, hardwareReport }]);
  expect(await readStored(row)).toMatchObject({
    reportedAt: new Date("2026-01-01T00:00:00Z"),
    product: "X1",
    cpuThreads: 32,
  });
  expect(await listPast(row)).toEqual([]);
});

/** The versions of the rows that a report writes, and the report's age. */
async function readVersions({ machineId }: HeartbeatRow) {
  const [row] = await observe(database)<{ report: string; facts: string; identifiers: string; findings: string }[]>`
    select (select xmin::text from hardware_report where machine_id = ${machineId}) as report,
           (select xmin::text from hardware_facts where machine_id = ${machineId}) as facts,
           (select string_agg(xmin::text, ' ') from machine_identifier where machine_id = ${machineId}) as identifiers,
           (select string_agg(xmin::text, ' ') from machine_finding where machine_id = ${machineId}) as findings`;
  return row as NonNullable<typeof row>;
}

test("the stored report writes nothing again, and once an hour only that it was confirmed", async () => {
  const [row] = (await createHeartbeatRows(client, 1)) as [HeartbeatRow];
  const heartbeat = { ...row, hardwareReport: newHardware() };
  await writeHeartbeats(client, [heartbeat]);
  const before = await readVersions(row);
  await writeHeartbeats(client, [heartbeat]);
  expect(await readVersions(row)).toEqual(before);
  await client.query("update hardware_report set confirmed_at = now() - interval '2 hours' where machine_id = $1", [
    row.machineId,
  ]);
  const { report: aged } = await readVersions(row);
  await writeHeartbeats(client, [heartbeat]);
  const { report, ...others } = await readVersions(row);
  expect(report).not.toBe(aged);
  expect({ ...others, report: before.report }).toEqual(before);
  expect((await readStored(row)).confirmedAt?.getTime()).toBeGreaterThan(Date.now() - 3_600_000);
  expect(await listPast(row)).toEqual([]);
});

test("facts from before they had a digest get one from the same report, and say nothing new", async () => {
  const [row] = (await createHeartbeatRows(client, 1)) as [HeartbeatRow];
  const heartbeat = { ...row, hardwareReport: newHardware() };
  await writeHeartbeats(client, [heartbeat]);
  const readFindings = () =>
    observe(database)`select type, target, detail, since from machine_finding where machine_id = ${row.machineId}`;
  const findings = [...(await readFindings())];
  expect(findings).toMatchObject([{ type: "disk_worn" }]);
  await client.query("update hardware_facts set facts = facts - 'digest' where machine_id = $1", [row.machineId]);
  await writeHeartbeats(client, [heartbeat]);
  expect([...(await readFindings())]).toEqual(findings);
  const { rows } = await client.query("select facts from hardware_facts where machine_id = $1", [row.machineId]);
  expect(rows).toMatchObject([{ facts: { ...heartbeat.hardwareReport.facts, digest: expect.any(String) } }]);
});

test("the same report under another key lets its serial number count again", async () => {
  const [row] = (await createHeartbeatRows(client, 1)) as [HeartbeatRow];
  const { facts, ...hardware } = newHardware();
  if (facts === undefined) throw new Error("there are facts");
  await writeHeartbeats(client, [{ ...row, hardwareReport: { ...hardware, facts } }]);
  const { publicKey } = await replaceAgentKey(database.db, row.machineId);
  const write = (serial: string) =>
    writeHeartbeats(client, [
      { ...row, publicKey, hardwareReport: { ...hardware, facts: { ...facts, serial }, report: Buffer.from(serial) } },
    ]);
  const changed = async () => {
    const found = await observe(database)<{ detail: string }[]>`
      select detail from machine_finding where machine_id = ${row.machineId} and type = 'serial_number_changed'`;
    return found.map(({ detail }) => detail);
  };
  await write(facts.serial ?? "");
  expect(await changed()).toEqual([]);
  await write("another");
  expect(await changed()).toEqual([`another now, ${facts.serial} before`]);
});
