/** By what machines and their parts can be found, whatever an agent claims. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { BlockDevice_Kind as Kind, type NodeSchema } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { readIdentifiers, toIdentifiers } from "../../src/agent-callback/hardware-identifiers.ts";

const identifiersOf = (report?: MessageInitShape<typeof NodeSchema>) =>
  toIdentifiers(create(AgentHardwareReportSchema, report === undefined ? {} : { report }));

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));

test("the machine, its interfaces and its disks have identifiers, in normalized form and as people write them", () => {
  const found = identifiersOf({
    serialNumber: " CZ2 1234ab ",
    systemUuid: "4C4C4544-0050-3310-8044-B4C04F4E3733",
    boardSerialNumber: "PWB1",
    chassisSerialNumber: "CH7",
    networkInterface: [{ mac: bytes("3cecef0a0b0c") }, { longAddress: bytes(`00000000fe80${"0a".repeat(14)}`) }],
    blockDevice: [
      { vendor: "ATA", deviceModel: "ST4000NM", serialNumber: "ZC1A", wwn: bytes("5000c500a1b2c3d4") },
      { deviceModel: "Samsung PM9A3", serialNumber: "S6", wwn: bytes("36344730548001480025384e00000001") },
    ],
  });
  const none = { scope: "", part: "" };
  const [disk, nvme] = ["ATA ST4000NM", "Samsung PM9A3"];
  expect(found).toEqual([
    { kind: "serial_number", value: "cz21234ab", shown: "CZ2 1234ab", ...none },
    {
      kind: "system_uuid",
      value: "4c4c4544005033108044b4c04f4e3733",
      shown: "4c4c4544-0050-3310-8044-b4c04f4e3733",
      ...none,
    },
    { kind: "board_serial_number", value: "pwb1", shown: "PWB1", ...none },
    { kind: "chassis_serial_number", value: "ch7", shown: "CH7", ...none },
    { kind: "mac", value: "3cecef0a0b0c", shown: "3c:ec:ef:0a:0b:0c", ...none },
    {
      kind: "mac",
      value: `00000000fe80${"0a".repeat(14)}`,
      shown: `00:00:00:00:fe:80${":0a".repeat(14)}`,
      ...none,
    },
    { kind: "disk_serial_number", value: "zc1a", scope: "ata st4000nm", shown: "ZC1A", part: disk },
    { kind: "disk_wwn", value: "5000c500a1b2c3d4", scope: "", shown: "0x5000c500a1b2c3d4", part: disk },
    { kind: "disk_serial_number", value: "s6", scope: "samsung pm9a3", shown: "S6", part: nvme },
    {
      kind: "disk_wwn",
      value: "36344730548001480025384e00000001",
      scope: "",
      shown: "0x36344730548001480025384e00000001",
      part: nvme,
    },
  ]);
});

test.each<[string, MessageInitShape<typeof NodeSchema> | undefined]>([
  ["no node", undefined],
  ["an empty node", {}],
  [
    "what vendors ship on every board",
    {
      serialNumber: "To be filled by O.E.M.",
      systemUuid: "03000200-0400-0500-0006-000700080009",
      boardSerialNumber: "Default string",
      chassisSerialNumber: "0123456789",
      networkInterface: [{ mac: bytes("000000000000") }, { mac: bytes("be3af2b6059f") }, {}],
      blockDevice: [
        { deviceModel: "QEMU HARDDISK", serialNumber: "QM00001", wwn: bytes("0000000000000000") },
        { serialNumber: "   " },
      ],
    },
  ],
  ["a UUID that is none", { systemUuid: "none of your business" }],
  ["bytes that are no address", { networkInterface: [{ mac: new Uint8Array(33).fill(7).with(0, 1) }] }],
  [
    "flash memory, and media of a console",
    {
      blockDevice: [Kind.FLASH, Kind.VIRTUAL_MEDIA, Kind.REMOVABLE, Kind.PERSISTENT_MEMORY].map((kind) => ({
        kind,
        serialNumber: "AAAABBBB",
      })),
    },
  ],
])("%s has no identifiers", (_what, report) => expect(identifiersOf(report)).toEqual([]));

test("the same serial number on two models is two identifiers, the same part reported twice is one", () => {
  const blockDevice = ["A", "B", "A"].map((deviceModel) => ({ deviceModel, serialNumber: "S1" }));
  expect(identifiersOf({ blockDevice }).map(({ scope }) => scope)).toEqual(["a", "b"]);
});

test("of 16,000 disks the first identifiers are kept, after those of the machine", () => {
  const blockDevice = Array.from({ length: 16_000 }, (_, index) => ({ serialNumber: `LUN-${index}-of-storage` }));
  const found = identifiersOf({ serialNumber: "CZ21234", blockDevice });
  expect(found).toHaveLength(1024);
  expect(found[0]).toMatchObject({ kind: "serial_number", value: "cz21234" });
  expect(found.at(-1)).toMatchObject({ value: "lun-1022-of-storage" });
});

test("texts are bounded, and hold nothing that PostgreSQL does not", () => {
  const [serial, disk] = identifiersOf({
    serialNumber: "ab".repeat(5_000),
    blockDevice: [{ vendor: "v\0".repeat(1_000), serialNumber: "S7\0\ud800" }],
  });
  expect(serial?.value).toBe("ab".repeat(64));
  expect(disk).toMatchObject({ shown: "S7\ufffd\ufffd", part: "v\ufffd".repeat(64) });
});

test("a stored report says the same as it did when it arrived, and bytes that are none say nothing", () => {
  const report = create(AgentHardwareReportSchema, { report: { serialNumber: "CZ21234" } });
  expect(readIdentifiers(toBinary(AgentHardwareReportSchema, report))).toEqual(toIdentifiers(report));
  expect(readIdentifiers(Uint8Array.of(0xff, 0xff))).toEqual([]);
});
