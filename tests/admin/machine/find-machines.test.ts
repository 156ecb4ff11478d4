/** FindMachines: a machine is found by whatever names it, in any spelling, and the answer says by what. */
import { randomBytes, randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "vitest";
import { MachineService, MatchKind } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { NodeSchema } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { bareMachine, machineWithAgent, type TestMachine } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { waitUntil } from "../../support/wait.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const operator = await tokenOf(database.db, "operator");
const machines = adminClient(MachineService, server.adminUrl, viewer.secret);
const operators = adminClient(MachineService, server.adminUrl, operator.secret);

/** Machines that a text finds, with the kinds of their matches, exact ones marked. */
async function find(text: string): Promise<[id: string, kinds: string[]][]> {
  const { results } = await machines.findMachines({ text });
  return results.map(({ machine, matches }) => [
    machine?.id ?? "",
    matches.map(({ kind, exact }) => `${MatchKind[kind]}${exact ? " exactly" : ""}`),
  ]);
}

async function report({ machineId, key }: TestMachine, node: MessageInitShape<typeof NodeSchema>): Promise<void> {
  using agent = grpcAgent(server, key);
  await agent.heartbeat({ machineId, hardwareReport: { report: node } });
}

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));

test.each(["İST-3", "ΛΟΓΟΣ-7"])(
  "a provider's id in another script is found as it was written: %s",
  async (providerId) => {
    const id = await bareMachine(database.db);
    await operators.setProvided({ machineId: id, provided: { provider: "lab", providerId } });
    expect(await find(providerId)).toEqual([[id, ["PROVIDER_ID exactly"]]]);
    expect(await find(providerId.slice(0, -1))).toEqual([[id, ["PROVIDER_ID"]]]);
  },
);

describe("one machine among others", () => {
  let machine: TestMachine;
  let id: string;
  const mac = "3cecef0a0b0c";
  const wwn = "5000c500a1b2c3d4";

  beforeAll(async () => {
    machine = await machineWithAgent(database.db);
    id = machine.machineId;
    await report(machine, {
      serialNumber: "CZ2-1234AB",
      systemUuid: "4c4c4544-0050-3310-8044-b4c04f4e3733",
      boardSerialNumber: "PWB Board/7",
      chassisSerialNumber: "Chassis_8",
      networkInterface: [{ mac: bytes(mac) }],
      blockDevice: [{ vendor: "ATA", deviceModel: "ST4000NM", serialNumber: "ZC1A2B3C", wwn: bytes(wwn) }],
    });
    const provided = { provider: "lab", providerId: "Rack-3/Slot-9", address: "bmc-9.Example.com" };
    await operators.setProvided({ machineId: id, provided });
    await operators.setLabels({ machineId: id, set: { owner: "Team.Storage" } });
    const other = await machineWithAgent(database.db);
    await report(other, {
      serialNumber: "XX",
      networkInterface: [{ mac: bytes("525400000001") }],
      blockDevice: [{ serialNumber: "WD-1", wwn: bytes("50014ee2000000aa") }],
    });
    await operators.setLabels({ machineId: other.machineId, set: { owner: "compute" } });
  });

  test.each<[what: string, kind: keyof typeof MatchKind, ...texts: string[]]>([
    ["its serial number", "SERIAL_NUMBER", "CZ2-1234AB", "cz2-1234ab", " CZ2-1234AB "],
    ["its UUID", "SYSTEM_UUID", "4c4c4544-0050-3310-8044-b4c04f4e3733", "4C4C454400503310 8044B4C04F4E3733"],
    ["its UUID in the other byte order", "SYSTEM_UUID", "44454c4c-5000-1033-8044-b4c04f4e3733"],
    ["its board's serial number", "BOARD_SERIAL_NUMBER", "PWB Board/7", "pwbboard/7"],
    ["its chassis' serial number", "CHASSIS_SERIAL_NUMBER", "chassis_8"],
    [
      "its MAC address",
      "MAC",
      ...["3c:ec:ef:0a:0b:0c", "3C-EC-EF-0A-0B-0C", "3cec.ef0a.0b0c", "3CECEF0A0B0C", "3c ec ef 0a 0b 0c"],
    ],
    ["its disk's serial number", "DISK_SERIAL_NUMBER", "ZC1A2B3C", "zc1a2b3c"],
    [
      "its disk's WWN",
      "DISK_WWN",
      ...["5000c500a1b2c3d4", "0x5000C500A1B2C3D4", "wwn-0x5000c500a1b2c3d4", "naa.5000c500a1b2c3d4"],
      "50:00:c5:00:a1:b2:c3:d4",
    ],
    ["its provider's id", "PROVIDER_ID", "Rack-3/Slot-9", "rack-3/slot-9"],
    ["its address", "ADDRESS", "bmc-9.example.com"],
    ["a label's value", "LABEL", "Team.Storage", "team.storage"],
  ])("is found by %s, exactly, in every spelling", async (_what, kind, ...texts) => {
    for (const text of texts.map((each) => each.trim())) {
      expect(await find(text), text).toEqual([[id, [`${kind} exactly`]]]);
    }
  });

  test.each<[text: string, kind: keyof typeof MatchKind]>([
    ["cz2-12", "SERIAL_NUMBER"],
    ["4C4C4544-0050-33", "SYSTEM_UUID"],
    ["pwb b", "BOARD_SERIAL_NUMBER"],
    ["Chass", "CHASSIS_SERIAL_NUMBER"],
    ["3c:ec:ef:0", "MAC"],
    ["3c-ec", "MAC"],
    ["ZC1A", "DISK_SERIAL_NUMBER"],
    ["0x5000c500", "DISK_WWN"],
    ["rack-3", "PROVIDER_ID"],
    ["BMC-9", "ADDRESS"],
    ["team", "LABEL"],
  ])("is found by the beginning %s of it", async (text, kind) => {
    expect(await find(text)).toEqual([[id, [kind]]]);
  });

  test("is found by its id and its beginning, with and without hyphens, in any case", async () => {
    const digits = id.replaceAll("-", "");
    for (const text of [id, id.toUpperCase(), digits]) expect(await find(text)).toEqual([[id, ["MACHINE_ID exactly"]]]);
    for (const text of [id.slice(0, 13), digits.slice(0, 13), id.slice(0, 12).toUpperCase()]) {
      expect(await find(text)).toEqual([[id, ["MACHINE_ID"]]]);
    }
  });

  test("is described as everywhere, with what matched", async () => {
    const { results, more } = await machines.findMachines({ text: "zc1a2b3c" });
    expect(more).toBe(false);
    expect(results).toMatchObject([
      {
        machine: (await machines.getMachine({ machineId: id })).machine,
        matches: [{ kind: MatchKind.DISK_SERIAL_NUMBER, value: "ZC1A2B3C", part: "ATA ST4000NM", exact: true }],
      },
    ]);
    const [match] = results[0]?.matches ?? [];
    expect([match?.sinceTime, match?.goneTime]).toEqual([expect.anything(), undefined]);
    const [byLabel] = (await machines.findMachines({ text: "team.storage" })).results;
    expect(byLabel?.matches).toMatchObject([{ value: "Team.Storage", part: "owner" }]);
    expect(byLabel?.matches[0]?.sinceTime).toBeUndefined();
    const [byProvider] = (await machines.findMachines({ text: "rack-3/slot-9" })).results;
    expect(byProvider?.matches).toMatchObject([{ value: "Rack-3/Slot-9", part: "lab" }]);
  });

  test.each(["%", "_", "ZC1A2B3", "cz2%", "\\", "ZC1A2B3C0", "'", "zzz", "0x", ":", "\ufeff"])(
    "is found by %j only as far as the text is its beginning",
    async (text) => expect(await find(text)).toEqual(text === "ZC1A2B3" ? [[id, ["DISK_SERIAL_NUMBER"]]] : []),
  );
});

test("exact matches come first, then what a machine had before, then beginnings", async () => {
  const serial = randomBytes(6).toString("hex").toUpperCase().replace(/^/, "S");
  const disk = (serialNumber: string) => ({ blockDevice: [{ deviceModel: "D", serialNumber }] });
  const [longer, before, now] = [
    await machineWithAgent(database.db),
    await machineWithAgent(database.db),
    await machineWithAgent(database.db),
  ];
  const labelled = await bareMachine(database.db);
  await report(longer, disk(`${serial}-1`));
  await report(before, disk(serial));
  await report(before, disk("another disk"));
  await report(now, disk(serial));
  await operators.setLabels({ machineId: labelled, set: { note: serial } });
  const { results } = await machines.findMachines({ text: serial });
  expect(results.map(({ machine }) => machine?.id)).toEqual([
    now.machineId,
    labelled,
    before.machineId,
    longer.machineId,
  ]);
  const [match] = results[2]?.matches ?? [];
  expect(match).toMatchObject({ exact: true, value: serial });
  expect(match?.goneTime?.seconds).toBeGreaterThanOrEqual(match?.sinceTime?.seconds ?? Number.POSITIVE_INFINITY);
});

test("a machine with many matching parts is one result, and keeps no other from being found", async () => {
  const prefix = `P${randomBytes(4).toString("hex")}-`;
  const [many, one] = [await machineWithAgent(database.db), await machineWithAgent(database.db)];
  const disks = Array.from({ length: 30 }, (_, index) => ({ serialNumber: `${prefix}a${index}` }));
  await report(many, { blockDevice: disks });
  await report(one, { blockDevice: [{ serialNumber: `${prefix}b` }] });
  const { results, more } = await machines.findMachines({ text: prefix });
  expect(results.map(({ machine, matches }) => [machine?.id, matches.length])).toEqual([
    [many.machineId, 10],
    [one.machineId, 1],
  ]);
  expect(more).toBe(false);
});

test("the answer is bounded and says that more match; an exact serial number is not lost among labels", async () => {
  const value = `v-${randomBytes(6).toString("hex")}`;
  const ids = Array.from({ length: 30 }, () => randomUUID()).sort();
  for (const machineId of ids) await operators.createMachine({ machineId, labels: { role: value } });
  const one = await machineWithAgent(database.db);
  await report(one, { serialNumber: value });
  const short = await machines.findMachines({ text: value });
  expect([short.results.length, short.more]).toEqual([20, true]);
  expect(short.results[0]?.machine?.id).toBe(one.machineId);
  const all = await machines.findMachines({ text: value, limit: 31 });
  expect([all.results.length, all.more]).toEqual([31, false]);
  expect(all.results.slice(1).map(({ machine }) => machine?.id)).toEqual(ids);
});

test("what reports contain that an older server stored is found soon after", async () => {
  const value = `x-${randomBytes(6).toString("hex")}`;
  const machine = await machineWithAgent(database.db);
  await report(machine, { blockDevice: [{ serialNumber: value }] });
  // An older server knows neither the table nor the column.
  await database.db.$client.query("delete from machine_identifier where machine_id = $1", [machine.machineId]);
  await database.db.$client.query("update hardware_report set identified_at = null where machine_id = $1", [
    machine.machineId,
  ]);
  await waitUntil("it is found", async () => (await find(value)).length > 0);
  expect(await find(value)).toEqual([[machine.machineId, ["DISK_SERIAL_NUMBER exactly"]]]);
});

test("a machine that is deleted, and a label that is removed, are found no more", async () => {
  const value = `w-${randomBytes(6).toString("hex")}`;
  const admin = adminClient(MachineService, server.adminUrl, (await tokenOf(database.db, "admin")).secret);
  const machine = await machineWithAgent(database.db);
  await report(machine, { serialNumber: value });
  await operators.setLabels({ machineId: machine.machineId, set: { note: value } });
  await operators.setLabels({ machineId: machine.machineId, remove: ["note"] });
  expect(await find(value)).toEqual([[machine.machineId, ["SERIAL_NUMBER exactly"]]]);
  await admin.deleteMachine({ machineId: machine.machineId });
  expect(await find(value)).toEqual([]);
});

test.each<[what: string, request: { text: string; limit?: number }]>([
  ["no text", { text: "" }],
  ["only spaces", { text: "   " }],
  ["a space at the end", { text: "abc " }],
  ["a NUL", { text: "a\0b" }],
  ["two lines", { text: "a\nb" }],
  ["a long text", { text: "a".repeat(256) }],
  ["a negative limit", { text: "abc", limit: -1 }],
  ["a great limit", { text: "abc", limit: 101 }],
])("%s is refused", async (_what, request) => {
  expect(await codeOf(machines.findMachines(request))).toBe("InvalidArgument");
});

test("texts of any kind find nothing and break nothing", async () => {
  for (const text of ["ä".repeat(255), "💽", "f".repeat(255), "0".repeat(33), "\u{10ffff}", "{}", "$1"]) {
    expect(await codeOf(machines.findMachines({ text })), text).toBe("ok");
  }
});
