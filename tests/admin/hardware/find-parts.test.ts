/** FindParts: where a part is now, and where it was. */
import { randomBytes } from "node:crypto";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { HardwareService } from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { MatchKind } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { machineWithAgent, readTags, replaceAgentKey, type TestMachine } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const hardware = adminClient(HardwareService, server.adminUrl, viewer.secret);

const newSerial = () => `S-${randomBytes(6).toString("hex").toUpperCase()}`;

/** Reports disks with these serial numbers, and returns when the report arrived. */
async function report({ machineId, key }: TestMachine, serials: string[], deviceModel = "D 1"): Promise<Date> {
  using agent = grpcAgent(server, key);
  const blockDevice = serials.map((serialNumber) => ({ vendor: "ACME", deviceModel, serialNumber }));
  await agent.heartbeat({ machineId, hardwareReport: { report: { blockDevice } } });
  return (await readTags(database, machineId)).hardware?.reportedAt as Date;
}

/** A time as the contract carries it has more digits than a Date. */
const dateOf = (time: Timestamp | undefined) => time && timestampDate(time);

async function listHolders(text: string) {
  const { parts } = await hardware.findParts({ text });
  return parts.map(({ holders }) =>
    holders.map(({ machineId, firstSeenTime, sinceTime, goneTime }) => ({
      machineId,
      first: dateOf(firstSeenTime),
      since: dateOf(sinceTime),
      gone: dateOf(goneTime),
    })),
  );
}

test("a disk that moves is told with the machine that has it, the one that had it, and the times", async () => {
  const serial = newSerial();
  const [one, other] = [await machineWithAgent(database.db), await machineWithAgent(database.db)];
  const first = await report(one, [serial]);
  expect(await listHolders(serial)).toEqual([[{ machineId: one.machineId, first, since: first, gone: undefined }]]);
  const gone = await report(one, []);
  const moved = await report(other, [serial]);
  const lost = { machineId: one.machineId, first, since: first, gone };
  expect(await listHolders(serial.toLowerCase())).toEqual([
    [{ machineId: other.machineId, first: moved, since: moved, gone: undefined }, lost],
  ]);
  const left = await report(other, []);
  const back = await report(one, [serial]);
  expect(await listHolders(serial)).toEqual([
    [
      { machineId: one.machineId, first, since: back, gone: undefined },
      { machineId: other.machineId, first: moved, since: moved, gone: left },
    ],
  ]);
});

test("what a part is, is told with it; equal serial numbers of two models are two parts", async () => {
  const serial = newSerial();
  const [one, other] = [await machineWithAgent(database.db), await machineWithAgent(database.db)];
  await report(one, [serial], "D 1");
  await report(other, [serial], "D 2");
  const { parts, more } = await hardware.findParts({ text: serial });
  expect(more).toBe(false);
  expect(parts).toMatchObject([
    { kind: MatchKind.DISK_SERIAL_NUMBER, value: serial, part: "ACME D 1", holders: [{ machineId: one.machineId }] },
    { kind: MatchKind.DISK_SERIAL_NUMBER, value: serial, part: "ACME D 2", holders: [{ machineId: other.machineId }] },
  ]);
});

test("the beginning of a serial number finds parts only while nothing has exactly that", async () => {
  const serial = newSerial();
  const machine = await machineWithAgent(database.db);
  await report(machine, [`${serial}-1`, `${serial}-2`]);
  const values = async () => (await hardware.findParts({ text: serial })).parts.map(({ value }) => value);
  expect(await values()).toEqual([`${serial}-1`, `${serial}-2`]);
  await report(machine, [`${serial}-1`, `${serial}-2`, serial]);
  expect(await values()).toEqual([serial]);
});

test("parts stay with the machine when its key is replaced", async () => {
  const serial = newSerial();
  const machine = await machineWithAgent(database.db);
  const since = await report(machine, [serial]);
  const key = await replaceAgentKey(database.db, machine.machineId);
  await report({ ...machine, key }, [serial, newSerial()]);
  expect(await listHolders(serial)).toEqual([[{ machineId: machine.machineId, first: since, since, gone: undefined }]]);
});

test("the answer is bounded and says that there is more", async () => {
  const serial = newSerial();
  const machine = await machineWithAgent(database.db);
  await report(
    machine,
    Array.from({ length: 150 }, (_, index) => `${serial}-${index}`),
  );
  const { parts, more } = await hardware.findParts({ text: serial });
  expect([parts.length, more]).toEqual([100, true]);
});

test("nothing is found by an id or a label, and without a text the call is refused", async () => {
  const machine = await machineWithAgent(database.db);
  await report(machine, [newSerial()]);
  expect((await hardware.findParts({ text: machine.machineId })).parts).toEqual([]);
  for (const text of ["", " ", "a\0", "a".repeat(256)]) {
    expect(await codeOf(hardware.findParts({ text }))).toBe("InvalidArgument");
  }
});
