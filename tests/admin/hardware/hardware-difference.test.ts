import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { BlockDevice_Protocol, EFISupport, type NodeSchema } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { AgentHardwareReportSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { findHardwareDifferences, maxDifferences } from "../../../src/admin/hardware/hardware-difference.ts";

type NodeInit = MessageInitShape<typeof NodeSchema>;

const reportOf = (node: NodeInit | undefined, warning: string[] = []) =>
  create(AgentHardwareReportSchema, { ...(node && { report: node }), warning });

/** Differences as "path: old -> new". */
const differences = (before: NodeInit | undefined, after: NodeInit | undefined) =>
  findHardwareDifferences(reportOf(before), reportOf(after)).map(
    ({ path, oldValue, newValue }) => `${path}: ${oldValue} -> ${newValue}`,
  );

const disk = { serialNumber: "S1", vendor: "ACME", capacityBytes: 480_103_981_056n, rotational: true };
const nic = { mac: Buffer.from("525400abcdef", "hex"), driver: "ixgbe" };

test("of the same hardware there are none, whatever the order of disks and interfaces", () => {
  const other = { ...disk, serialNumber: "S2" };
  const secondNic = { ...nic, mac: Buffer.from("525400abcdf0", "hex") };
  expect(
    differences(
      { blockDevice: [disk, other], networkInterface: [nic, secondNic] },
      { blockDevice: [other, disk], networkInterface: [secondNic, nic] },
    ),
  ).toEqual([]);
});

test("a value that changed is named with what it was and is", () => {
  const before = {
    manufacturer: "ACME",
    memoryInstalledBytes: 0n,
    memoryUsableRatio: 0.9,
    efiSupport: EFISupport.EFI_SUPPORT_UNKNOWN,
  };
  const after = {
    manufacturer: "",
    memoryInstalledBytes: 2n ** 63n - 1n,
    memoryUsableRatio: 0.95,
    efiSupport: 9 as EFISupport,
  };
  expect(differences(before, after)).toEqual([
    "report.manufacturer: ACME -> ",
    "report.memory_installed_bytes: 0 -> 9223372036854775807",
    "report.memory_usable_ratio: 0.9 -> 0.95",
    "report.efi_support: EFI_SUPPORT_UNKNOWN -> 9",
  ]);
});

describe("disks", () => {
  const disks = (before: object[], after: object[]) => differences({ blockDevice: before }, { blockDevice: after });

  test("are matched by serial number", () => {
    const worn = { ...disk, rotational: false, protocol: BlockDevice_Protocol.NVME, mediaErrors: 0n, usageRatio: 0.5 };
    expect(disks([disk, { serialNumber: "S2" }], [{ serialNumber: "S2" }, worn])).toEqual([
      "report.block_device[S1].rotational: true -> false",
      "report.block_device[S1].protocol: PROTOCOL_UNKNOWN -> PROTOCOL_NVME",
      "report.block_device[S1].media_errors:  -> 0",
      "report.block_device[S1].usage_ratio:  -> 0.5",
    ]);
  });

  test("that came or went are told by what is known of them", () => {
    expect(disks([disk], [])).toEqual([
      "report.block_device[S1].vendor: ACME -> ",
      "report.block_device[S1].serial_number: S1 -> ",
      "report.block_device[S1].rotational: true -> ",
      "report.block_device[S1].capacity_bytes: 480103981056 -> ",
    ]);
    expect(disks([], [{ serialNumber: "S2" }])).toEqual(["report.block_device[S2].serial_number:  -> S2"]);
    expect(disks([], [{}])).toEqual(["report.block_device[0]:  -> {}"]);
  });

  test("without a serial number are matched by their World Wide Name, and else by their place", () => {
    const wwn = Buffer.from("5000c500a1b2c3d4", "hex");
    expect(disks([{}, { wwn }], [{ wwn, vendor: "ACME" }, {}])).toEqual([
      "report.block_device[5000c500a1b2c3d4].vendor:  -> ACME",
    ]);
    expect(disks([{ vendor: "a" }], [{ vendor: "b" }])).toEqual(["report.block_device[0].vendor: a -> b"]);
    expect(disks([{ vendor: "a" }, { vendor: "b" }], [{ vendor: "b" }, { vendor: "a" }])).toEqual([]);
  });

  test("are matched by their World Wide Name before their serial number, which the volumes of an array share", () => {
    const volume = (controller: string, lun: number, capacityBytes: bigint) => ({
      serialNumber: controller,
      wwn: Buffer.from(`600a0b800047aa010000000${lun}`, "hex"),
      capacityBytes,
    });
    const volumes = [volume("A", 1, 30n), volume("B", 1, 30n), volume("A", 2, 20n), volume("B", 2, 20n)];
    expect(disks(volumes, volumes.toReversed())).toEqual([]);
    const [first, second, ...others] = volumes;
    expect(disks(volumes, [...others, second, { ...first, capacityBytes: 31n }] as object[])).toEqual([
      "report.block_device[A].capacity_bytes: 30 -> 31",
    ]);
  });

  test("that share a serial number are named by their World Wide Name", () => {
    const namespace = (number: number, capacityBytes: bigint) => ({
      serialNumber: "SER1",
      wwn: Buffer.from(`002538000000000${number}`, "hex"),
      capacityBytes,
    });
    const [one, two] = [namespace(1, 1n), namespace(2, 2n)];
    expect(disks([one, two], [two, one])).toEqual([]);
    expect(disks([one, two], [two, { ...one, capacityBytes: 3n }])).toEqual([
      "report.block_device[0025380000000001].capacity_bytes: 1 -> 3",
    ]);
  });

  test("of another World Wide Name are others, whatever their serial number", () => {
    const wwn = (digits: string) => Buffer.from(digits, "hex");
    const [old, replacement] = ["5000c500a1b2c3d4", "5000c500a1b2c3d5"];
    expect(disks([{ serialNumber: "S", wwn: wwn(old) }], [{ serialNumber: "S", wwn: wwn(replacement) }])).toEqual([
      `report.block_device[${old}].serial_number: S -> `,
      `report.block_device[${old}].wwn: ${old} -> `,
      `report.block_device[${replacement}].serial_number:  -> S`,
      `report.block_device[${replacement}].wwn:  -> ${replacement}`,
    ]);
  });

  test("whose World Wide Name an agent has found out since are the same", () => {
    expect(disks([disk], [{ ...disk, wwn: Buffer.from("5000c500a1b2c3d4", "hex") }])).toEqual([
      "report.block_device[S1].wwn:  -> 5000c500a1b2c3d4",
    ]);
  });

  test("that share all that identifies them are told apart by what is the same in them, and then by their order", () => {
    expect(disks([disk, disk], [disk, { ...disk, vendor: "b" }, disk])).toEqual(
      ["vendor:  -> b", "serial_number:  -> S1", "rotational:  -> true", "capacity_bytes:  -> 480103981056"].map(
        (text) => `report.block_device[S1#3].${text}`,
      ),
    );
    expect(disks([disk, { ...disk, capacityBytes: 1n }], [{ ...disk, capacityBytes: 1n, vendor: "b" }, disk])).toEqual([
      "report.block_device[S1#2].vendor: ACME -> b",
    ]);
    expect(
      disks(
        [disk, disk],
        [
          { ...disk, vendor: "b" },
          { ...disk, vendor: "c" },
        ],
      ),
    ).toEqual(["report.block_device[S1].vendor: ACME -> b", "report.block_device[S1#2].vendor: ACME -> c"]);
  });

  test("with endless serial numbers do not make endless paths", () => {
    const serialNumber = "9".repeat(100_000);
    expect(disks([{ serialNumber }], [{ serialNumber, vendor: "a" }])).toEqual([
      `report.block_device[${"9".repeat(64)}].vendor:  -> a`,
    ]);
  });
});

test("network interfaces are matched by their address, and lists of numbers compared as a whole", () => {
  const before = { networkInterface: [{ ...nic, supportedSpeedBytes: [125_000_000n] }] };
  const after = {
    networkInterface: [{}, { ...nic, linkUp: true, supportedSpeedBytes: [125_000_000n, 1_250_000_000n] }],
  };
  expect(differences(before, after)).toEqual([
    "report.network_interface[52:54:00:ab:cd:ef].supported_speed_bytes: 125000000 -> 125000000, 1250000000",
    "report.network_interface[52:54:00:ab:cd:ef].link_up: false -> true",
    "report.network_interface[0]:  -> {}",
  ]);
  const gone = differences(before, {});
  expect(gone).toContain("report.network_interface[52:54:00:ab:cd:ef].mac: 52:54:00:ab:cd:ef -> ");
});

test("network interfaces of one address, as members of a bond once had, are matched by name, and InfiniBand's by their own", () => {
  const member = (name: string) => ({ ...nic, name });
  const port = { longAddress: Buffer.from("00000000fe800000000000000c42a1030079991c", "hex"), name: "ib0" };
  const interfaces = [member("eno1"), member("eno2"), port];
  expect(differences({ networkInterface: interfaces }, { networkInterface: interfaces.toReversed() })).toEqual([]);
  const slow = [port, { ...member("eno2"), driver: "ice" }, member("eno1")];
  expect(differences({ networkInterface: interfaces }, { networkInterface: slow })).toEqual([
    "report.network_interface[eno2].driver: ixgbe -> ice",
  ]);
  const later = { ...port, currentSpeedBytes: 25_000_000_000n };
  expect(differences({ networkInterface: [port] }, { networkInterface: [later] })).toEqual([
    "report.network_interface[00:00:00:00:fe:80:00:00:00:00:00:00:0c:42:a1:03:00:79:99:1c].current_speed_bytes: 0 -> 25000000000",
  ]);
});

test("CPUs are matched by their place, architecture included", () => {
  const cpu = { cores: 8, architecture: { case: "x8664", value: { family: 6, model: 85 } } } as const;
  expect(differences({ cpu: [cpu, cpu] }, { cpu: [cpu, { cores: 8 }] })).toEqual([
    "report.cpu[1].x86_64.family: 6 -> ",
    "report.cpu[1].x86_64.model: 85 -> ",
  ]);
});

test("warnings are compared as a whole", () => {
  expect(findHardwareDifferences(reportOf({}, ["a"]), reportOf({}, ["a", "b"]))).toEqual([
    { path: "warning", oldValue: "a", newValue: "a, b" },
  ]);
});

test("a report without hardware is another one than with", () => {
  expect(differences(undefined, {})).toEqual(["report:  -> {}"]);
  expect(differences({ product: "R640" }, undefined)).toEqual(["report.product: R640 -> "]);
});

test("what only newer agents know is named by its number", () => {
  const before = reportOf({});
  const after = reportOf({});
  const field = (no: number, ...data: number[]) => ({ no, wireType: 0, data: new Uint8Array(data) });
  if (after.report !== undefined) after.report.$unknown = [field(16, 1), field(16, 2), field(17, 3)];
  if (before.report !== undefined) before.report.$unknown = [field(17, 3)];
  expect(findHardwareDifferences(before, after)).toEqual([{ path: "report.16", oldValue: "", newValue: "01, 02" }]);
});

test("floats of 32 bits are told apart, and shown as short as that allows", () => {
  const close = [0.1, 0.10000001, 1 / 3, 1e-10, 1e20];
  const texts = close.map((memoryUsableRatio) => {
    const node = create(AgentHardwareReportSchema, { report: { memoryUsableRatio: Math.fround(memoryUsableRatio) } });
    return findHardwareDifferences(reportOf({}), node)[0]?.newValue;
  });
  expect(texts).toEqual(["0.1", "0.10000001", "0.33333334", "1e-10", "100000000000000000000"]);
});

test("after so many differences the rest is only said to be", () => {
  const disks = (count: number, text: string) => ({
    blockDevice: Array.from({ length: count }, (_, index) => ({
      serialNumber: `S${index}`,
      vendor: text,
      deviceModel: text,
    })),
  });
  const compare = (count: number) => findHardwareDifferences(reportOf(disks(count, "a")), reportOf(disks(count, "b")));
  expect(compare(maxDifferences / 2)).toHaveLength(maxDifferences);
  const found = compare(maxDifferences / 2 + 1);
  expect(found).toHaveLength(maxDifferences + 1);
  expect(found.at(-1)).toEqual({ path: "", oldValue: "", newValue: `more than ${maxDifferences} values differ` });
});

test("of more disks than any machine has, only the number is compared", () => {
  const disks = (count: number) => ({ blockDevice: Array(count).fill({ serialNumber: "S" }) });
  expect(differences(disks(50_000), disks(50_001))).toEqual(["report.block_device: 50000 elements -> 50001 elements"]);
});
