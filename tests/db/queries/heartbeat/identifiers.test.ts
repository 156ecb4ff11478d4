/** What becomes of the identifiers in hardware reports: who has a part now, who had it, and since when. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Identifier } from "../../../../src/contract/identifiers.ts";
import type { HeartbeatRow } from "../../../../src/db/queries/heartbeat/heartbeat-row.ts";
import { writeHeartbeats } from "../../../../src/db/queries/heartbeat/write-heartbeats.ts";
import { deleteMachine } from "../../../../src/db/queries/machine-deletion.ts";
import { transact } from "../../../../src/db/transact.ts";
import { createTestDatabase, type TestDatabase } from "../../../support/database.ts";
import { createHeartbeatRows, newHardware, newIdentifier } from "../../../support/heartbeat-rows.ts";
import { readTags } from "../../../support/machine.ts";
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

interface Stored {
  readonly value: string;
  readonly firstSeenAt: Date;
  readonly since: Date;
  readonly goneAt: Date | null;
}

/** The machine's identifiers, in the order of their values. */
async function readIdentifiers({ machineId }: HeartbeatRow): Promise<Stored[]> {
  return [
    ...(await observe(database)<Stored[]>`
      select value, first_seen_at, since, gone_at from machine_identifier
       where machine_id = ${machineId} order by value`),
  ];
}

/** Whether the machine waits to be compared with others. Takes it off the list. */
async function wasChanged({ machineId }: HeartbeatRow): Promise<boolean> {
  const { length } = await observe(database)`
    delete from uncompared_machine where machine_id = ${machineId} returning machine_id`;
  return length > 0;
}

const newMachine = async () => (await createHeartbeatRows(client, 1))[0] as HeartbeatRow;

/** Reports hardware with these identifiers, and returns when the report arrived. */
async function report(row: HeartbeatRow, ...identifiers: Identifier[]): Promise<Date> {
  const outcomes = await writeHeartbeats(client, [{ ...row, hardwareReport: { ...newHardware(), identifiers } }]);
  expect(outcomes).toMatchObject([{ kind: "counted" }]);
  return (await readTags(database, row.machineId)).hardware?.reportedAt as Date;
}

const [a, b, c] = ["a1", "b2", "c3"].map((value) => newIdentifier("disk_serial_number", value)) as [
  Identifier,
  Identifier,
  Identifier,
];

test("what a report has is held since it arrived, and what the next one lacks is gone since then", async () => {
  const row = await newMachine();
  const first = await report(row, a, b);
  const second = await report(row, b, c);
  expect(await readIdentifiers(row)).toEqual([
    { value: "a1", firstSeenAt: first, since: first, goneAt: second },
    { value: "b2", firstSeenAt: first, since: first, goneAt: null },
    { value: "c3", firstSeenAt: second, since: second, goneAt: null },
  ]);
});

test("what comes back is held since then, and when it was first seen is not forgotten", async () => {
  const row = await newMachine();
  const first = await report(row, a);
  await report(row);
  const third = await report(row, a);
  expect(await readIdentifiers(row)).toEqual([{ value: "a1", firstSeenAt: first, since: third, goneAt: null }]);
});

test("a part that moves is gone from the one machine and held by the other", async () => {
  const [one, other] = [await newMachine(), await newMachine()];
  await report(one, a);
  const moved = await report(other, a);
  const gone = await report(one, b);
  expect((await readIdentifiers(one))[0]).toMatchObject({ value: "a1", goneAt: gone });
  expect(await readIdentifiers(other)).toMatchObject([{ value: "a1", since: moved, goneAt: null }]);
});

test("a report that differs, with the same parts, writes no identifier; nor does the same report again", async () => {
  const row = await newMachine();
  await report(row, a, b);
  expect(await wasChanged(row)).toBe(true);
  const versions = () => observe(database)`
    select value, xmin::text, xmax::text from machine_identifier where machine_id = ${row.machineId} order by value`;
  const before = [...(await versions())];
  const hardwareReport = { ...newHardware(), identifiers: [a, b] };
  for (let time = 0; time < 3; time++) await writeHeartbeats(client, [{ ...row, hardwareReport }]);
  expect([...(await versions())]).toEqual(before);
  expect(await wasChanged(row)).toBe(false);
});

test("a machine is to be compared whenever something comes, goes, or is written in another way", async () => {
  const row = await newMachine();
  for (const identifiers of [[a], [a, b], [a], [{ ...a, shown: "A-1" }], []]) {
    await report(row, ...identifiers);
    expect(await wasChanged(row)).toBe(true);
  }
  expect(await readIdentifiers(row)).toMatchObject([{ value: "a1" }, { value: "b2" }]);
});

test("a batch stores the identifiers of each machine with that machine, equal ones too", async () => {
  const rows = await createHeartbeatRows(client, 50);
  const own = rows.map((_, index) => newIdentifier("serial_number", `own-${index}`));
  const batch = rows.map((row, index) => ({
    ...row,
    hardwareReport: { ...newHardware(), identifiers: [own[index] as Identifier, c] },
  }));
  await writeHeartbeats(client, batch);
  for (const [index, row] of rows.entries()) {
    expect(await readIdentifiers(row)).toMatchObject([{ value: "c3" }, { value: `own-${index}` }]);
  }
});

test("two machines that report one part at the same time both hold it, and both are to be compared", async () => {
  const [one, other] = (await createHeartbeatRows(client, 2)) as [HeartbeatRow, HeartbeatRow];
  const second = new pg.Client({ connectionString: database.url, pipeline: true });
  await second.connect();
  const shared = newIdentifier("system_uuid");
  const beat = (through: pg.Client, row: HeartbeatRow) =>
    writeHeartbeats(through, [{ ...row, hardwareReport: { ...newHardware(), identifiers: [shared] } }]);
  await Promise.all([beat(client, one), beat(second, other)]);
  await second.end();
  for (const row of [one, other]) {
    expect(await readIdentifiers(row)).toMatchObject([{ value: shared.value, goneAt: null }]);
    expect(await wasChanged(row)).toBe(true);
  }
});

test("a report with a thousand identifiers is stored whole, with texts of any kind", async () => {
  const row = await newMachine();
  const texts = ['"', "\\", "{}", ",", "NULL", "größe", "\ufffd", "'; drop table machine; --"];
  const odd = texts.map((value) => newIdentifier("serial_number", value, { part: value }));
  const many = Array.from({ length: 1016 }, () => newIdentifier("disk_wwn"));
  await report(row, ...odd, ...many);
  const stored = await readIdentifiers(row);
  expect(stored).toHaveLength(1024);
  expect(stored.map(({ value }) => value)).toEqual(expect.arrayContaining(texts));
});

test("identifiers are stored of a report that a server stored which did not know them, when it comes again", async () => {
  const row = await newMachine();
  const hardwareReport = { ...newHardware(), identifiers: [a] };
  await writeHeartbeats(client, [{ ...row, hardwareReport }]);
  await observe(database)`delete from machine_identifier where machine_id = ${row.machineId}`;
  await observe(database)`update hardware_report set identified_at = null where machine_id = ${row.machineId}`;
  await writeHeartbeats(client, [{ ...row, hardwareReport }]);
  const { reportedAt, identifiedAt } = (await readTags(database, row.machineId)).hardware ?? {};
  expect(identifiedAt).toEqual(reportedAt);
  expect(await readIdentifiers(row)).toMatchObject([{ value: "a1", since: reportedAt }]);
});

test("a digest counts only for the report that it was stored with", async () => {
  const row = await newMachine();
  await report(row, a);
  // An older server stores another report with its identifiers, and knows no digest.
  const sql = observe(database);
  await sql`update hardware_report set report = 'other', reported_at = now(), identified_at = now(), inventoried_at = now()
             where machine_id = ${row.machineId}`;
  await sql`update machine_identifier set value = 'b2', shown = 'B2' where machine_id = ${row.machineId}`;
  const at = await report(row, a);
  expect(await readIdentifiers(row)).toMatchObject([
    { value: "a1", since: at, goneAt: null },
    { value: "b2", goneAt: at },
  ]);
});

test("a machine that is deleted holds nothing any more", async () => {
  const row = await newMachine();
  await report(row, a);
  await transact(database.db, (tx) => deleteMachine(tx, { machineId: row.machineId, force: false }, "test"));
  expect(await readIdentifiers(row)).toEqual([]);
  expect(await wasChanged(row)).toBe(false);
});
