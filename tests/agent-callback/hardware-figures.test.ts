/** What is summed up of a hardware report, whatever an agent claims. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { BlockDevice_Kind as Kind, type NodeSchema } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { toHardwareFigures } from "../../src/agent-callback/hardware-figures.ts";

const figuresOf = (report?: MessageInitShape<typeof NodeSchema>) =>
  toHardwareFigures(create(AgentHardwareReportSchema, report === undefined ? {} : { report }));

const nothing = {
  manufacturer: undefined,
  product: undefined,
  serialNumber: undefined,
  memoryBytes: 0n,
  cpuThreads: 0,
  diskBytes: 0n,
  largestDiskBytes: 0n,
  systemUuid: undefined,
  disks: "{}",
};

test("processors and disks are summed up, the largest disk is named", () => {
  const figures = figuresOf({
    manufacturer: "ACME",
    product: "X1",
    serialNumber: "S1",
    memoryInstalledBytes: 64n,
    cpu: [{ hardwareThreads: 32 }, { hardwareThreads: 16 }],
    blockDevice: [{ capacityBytes: 3n }, { capacityBytes: 5n }, { capacityBytes: 4n }],
  });
  expect(figures).toEqual({
    manufacturer: "ACME",
    product: "X1",
    serialNumber: "S1",
    ownSerialNumber: "S1",
    memoryBytes: 64n,
    cpuThreads: 48,
    diskBytes: 12n,
    largestDiskBytes: 5n,
    systemUuid: undefined,
    disks: "{}",
  });
});

test("disks are listed by what identifies them, with a name that can be a device's, and the system by its UUID", () => {
  const figures = figuresOf({
    systemUuid: "4C4C4544-0000-2010-8020-80C04F202021",
    blockDevice: [
      { serialNumber: "SER/1", capacityBytes: 3n, kernelName: "sda" },
      { wwn: Uint8Array.of(0x50, 0, 0xc5, 0, 0xa1, 0xb2, 0xc3, 0xd4), capacityBytes: 4n, kernelName: "../x" },
      { serialNumber: "TWIN1", capacityBytes: 5n, kernelName: "sdc" },
      { serialNumber: "TWIN1", capacityBytes: 5n, kernelName: "sdd" },
      { capacityBytes: 6n, kernelName: "sde" },
    ],
  });
  expect(figures.systemUuid).toBe("4c4c4544-0000-2010-8020-80c04f202021");
  expect(JSON.parse(figures.disks ?? "")).toEqual({ "/SER%2F1/3": "sda" });
  expect(figuresOf({ systemUuid: "no\0uuid" }).systemUuid).toBeUndefined();
});

test("a serial number that many machines share is not the machine's own", () => {
  const figures = figuresOf({ serialNumber: "To be filled by O.E.M." });
  expect(figures).toMatchObject({ serialNumber: "To be filled by O.E.M.", ownSerialNumber: undefined });
});

test("what is no disk of the machine adds nothing, and is not the largest", () => {
  const kinds = [Kind.FLASH, Kind.PERSISTENT_MEMORY, Kind.VIRTUAL_MEDIA, Kind.REMOVABLE, 99 as Kind];
  const others = kinds.map((kind) => ({ kind, capacityBytes: 1000n }));
  const figures = figuresOf({
    blockDevice: [...others, { kind: Kind.DISK, capacityBytes: 3n }, { capacityBytes: 4n }],
  });
  expect(figures).toMatchObject({ diskBytes: 7n, largestDiskBytes: 4n });
});

test.each([
  ["no node", undefined],
  ["an empty node", {}],
  [
    "negative figures",
    { memoryInstalledBytes: -1n, cpu: [{ hardwareThreads: -8 }], blockDevice: [{ capacityBytes: -(2n ** 63n) }] },
  ],
])("%s counts as nothing", (_what, report) => expect(figuresOf(report)).toEqual(nothing));

test("sums end at what their columns hold, and a negative figure takes nothing from the others", () => {
  const figures = figuresOf({
    memoryInstalledBytes: 2n ** 63n - 1n,
    cpu: [{ hardwareThreads: 2 ** 31 - 1 }, { hardwareThreads: 2 ** 31 - 1 }, { hardwareThreads: -5 }],
    blockDevice: [{ capacityBytes: 2n ** 63n - 1n }, { capacityBytes: 2n ** 63n - 1n }, { capacityBytes: -7n }],
  });
  expect(figures).toMatchObject({
    memoryBytes: 2n ** 63n - 1n,
    cpuThreads: 2 ** 31 - 1,
    diskBytes: 2n ** 63n - 1n,
    largestDiskBytes: 2n ** 63n - 1n,
  });
});

test("names are bounded, and hold nothing that PostgreSQL does not", () => {
  const figures = figuresOf({ manufacturer: "x".repeat(10_000), product: "X\0\ud800", serialNumber: "\0" });
  expect(figures.manufacturer).toBe("x".repeat(256));
  expect(figures.product).toBe("X\ufffd\ufffd");
  expect(figures.serialNumber).toBe("\ufffd");
});

test("a path that is cut in the middle of a character still identifies its disk", () => {
  const name = `disk/by-path/${"x".repeat(242)}\u{1f4be}`;
  const figures = figuresOf({ blockDevice: [{ stableName: [name], capacityBytes: 5n, kernelName: "sda" }] });
  expect(JSON.parse(figures.disks ?? "")).toEqual({
    [`path/${encodeURIComponent(`${name.slice(0, 255)}\ufffd`)}//5`]: "sda",
  });
});
