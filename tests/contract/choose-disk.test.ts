/** Which disk of a hardware report an operator means, and what is refused. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { BlockDevice_Kind as Kind, BlockDevice_Protocol as Protocol } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { AgentHardwareReportSchema, ExpectedDiskSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type ChosenDisk, chooseDisk, type DiskQuestion, DiskRefusedError } from "../../src/contract/choose-disk.ts";
import { type DiskSelector, formatDiskSelector, parseDiskSelector } from "../../src/contract/disk-selector.ts";
import { InvalidFieldError } from "../../src/contract/installation-rules.ts";
import { hardwareOf, sda, type TestDisk } from "../support/hardware.ts";

const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const hourMs = 3_600_000;

const nvme = (name: string, serialNumber: string, capacityBytes: bigint): TestDisk => ({
  kernelName: name,
  vendor: "ACME",
  deviceModel: "Fast One",
  serialNumber,
  capacityBytes,
  protocol: Protocol.NVME,
  stableName: [`disk/by-id/nvme-${serialNumber}`, `disk/by-path/pci-0000:0${name.at(4)}:00.0-nvme-1`],
});
const disks: readonly TestDisk[] = [
  { ...sda, rotational: true },
  nvme("nvme0n1", "NV-A", 960_000_000_000n),
  nvme("nvme1n1", "NV-B", 1_920_000_000_000n),
  { kernelName: "sdz", serialNumber: "STICK1", capacityBytes: 16_000_000_000n, kind: Kind.REMOVABLE },
  { kernelName: "mtdblock0", serialNumber: "FLASH1", capacityBytes: 16_000_000n, kind: Kind.FLASH },
  { kernelName: "sdy", serialNumber: "ILO1", capacityBytes: 1_000_000n, kind: Kind.VIRTUAL_MEDIA },
];

function choose(
  selector: DiskSelector | string,
  report: readonly TestDisk[] = disks,
  more: Partial<DiskQuestion> & { ageMs?: number } = {},
): ChosenDisk {
  const { ageMs = 0, ...question } = more;
  const wanted = typeof selector === "string" ? parseDiskSelector(selector) : selector;
  const bytes = toBinary(AgentHardwareReportSchema, hardwareOf(report));
  return chooseDisk({ machineId, selector: wanted, maxAgeMs: hourMs, ...question }, { report: bytes, ageMs });
}

function refusalOf(work: () => unknown): DiskRefusedError {
  try {
    work();
  } catch (error) {
    if (error instanceof DiskRefusedError) return error;
    throw error;
  }
  return expect.fail("it was not refused");
}

describe("a disk is meant by", () => {
  test.each([
    ["serial=NV-A", "nvme0n1"],
    ["wwn=0x5002538E40A1B2C3", "sda"],
    ["wwn=naa.5002538e40a1b2c3", "sda"],
    ["path=pci-0000:01:00.0-nvme-1", "nvme1n1"],
    ["path=/dev/disk/by-id/nvme-NV-A", "nvme0n1"],
    ["model=samsung ssd 860", "sda"],
    ["model=acme fast one,smallest", "nvme0n1"],
    ["smallest,nvme", "nvme0n1"],
    ["largest,nvme", "nvme1n1"],
    ["smallest", "nvme0n1"],
    ["largest,max-size=1500000000000", "sda"],
    ["only,hdd", "sda"],
    ["only,ssd,min-size=1000000000000", "nvme1n1"],
    ["sata", "sda"],
    ["name=sda", "sda"],
    ["serial=STICK1", "sdz"],
    ["name=sdz", "sdz"],
  ])("%s", (selector, name) => {
    expect(choose(selector)).toMatchObject({ kernelName: name });
  });

  test("what it is, which the request then carries", () => {
    const { expectedDisk, diskId, description, disks: names } = choose("name=sda");
    expect(fromBinary(ExpectedDiskSchema, expectedDisk)).toEqual(
      create(ExpectedDiskSchema, {
        wwn: sda.wwn as Uint8Array<ArrayBuffer>,
        serialNumber: "S3Z8NB0K123456",
        capacityBytes: 1_000_204_886_016n,
        model: "Samsung SSD 860",
      }),
    );
    expect(names[diskId]).toBe("sda");
    expect(description).toBe("sda, Samsung SSD 860, serial number S3Z8NB0K123456");
  });
});

describe("no disk is chosen", () => {
  test.each<[string, string, string, RegExp]>([
    [
      "for one that is not there",
      "serial=NONE",
      "DISK_NOT_FOUND",
      /^no disk of machine 4b9f.* matches serial=NONE; name one/,
    ],
    ["for a name that is not there", "name=sdb", "DISK_NOT_FOUND", /no disk .* matches name=sdb/],
    ["for the firmware's flash", "serial=FLASH1", "DISK_NOT_FOUND", /no disk/],
    ["for virtual media, by name too", "name=sdy", "DISK_NOT_FOUND", /no disk/],
    ["for a stick by its size", "max-size=20000000000", "DISK_NOT_FOUND", /no disk/],
    ["for several", "nvme", "DISK_AMBIGUOUS", /^2 disks of machine .* match protocol=nvme: nvme0n1, nvme1n1; name one/],
    ["for the only one of several", "only", "DISK_AMBIGUOUS", /^3 disks/],
  ])("%s", (_, selector, obstacle, message) => {
    expect(refusalOf(() => choose(selector))).toMatchObject({
      obstacle,
      machineId,
      message: expect.stringMatching(message),
    });
  });

  test("for the smallest of two that are as small", () => {
    const twins = [nvme("nvme0n1", "NV-A", 5n), nvme("nvme1n1", "NV-B", 5n)];
    expect(refusalOf(() => choose("smallest", twins)).obstacle).toBe("DISK_AMBIGUOUS");
  });

  test("from a report that is missing, unreadable or too old", () => {
    const question = { machineId, selector: { pick: "only" }, maxAgeMs: hourMs } as const;
    expect(refusalOf(() => chooseDisk(question, undefined))).toMatchObject({
      obstacle: "HARDWARE_REPORT_MISSING",
      message: expect.stringMatching(/has not reported its hardware.*--unchecked-disk/),
    });
    expect(refusalOf(() => chooseDisk(question, { report: Buffer.of(0xff), ageMs: 0 })).obstacle).toBe(
      "HARDWARE_REPORT_MISSING",
    );
    const old = refusalOf(() => choose("serial=NV-A", disks, { ageMs: hourMs + 1 }));
    expect(old).toMatchObject({ obstacle: "HARDWARE_REPORT_OLD", message: expect.stringMatching(/60 minutes old/) });
    expect(old.disks).toHaveLength(disks.length);
    expect(choose("serial=NV-A", disks, { ageMs: hourMs }).kernelName).toBe("nvme0n1");
  });

  test("from a report without disks, which says where to look", () => {
    expect(refusalOf(() => choose("only", [])).message).toMatch(
      /its agent reports no disks; see the warnings of bmaas/,
    );
  });

  test("that nothing tells from others", () => {
    const alike = { kernelName: "sda", serialNumber: "0000000000", capacityBytes: 5n };
    expect(refusalOf(() => choose("name=sda", [alike])).obstacle).toBe("DISK_WITHOUT_IDENTITY");
    const twins = ["sda", "sdb"].map((kernelName) => ({ ...sda, kernelName }));
    const refusal = refusalOf(() => choose("name=sda", twins));
    expect(refusal.obstacle).toBe("DISK_WITHOUT_IDENTITY");
    expect(refusal.disks.map(({ selector }) => selector)).toEqual(["", ""]);
  });

  test("that has no kernel name, by which the field's agents find it", () => {
    const { kernelName: _, ...nameless } = sda;
    expect(refusalOf(() => choose("only", [nameless])).obstacle).toBe("DISK_WITHOUT_NAME");
    expect(refusalOf(() => choose("name=sda", [nameless])).message).toMatch(
      /gives disks no kernel names; name the disk with/,
    );
  });

  test("when it is another one than was confirmed", () => {
    const { diskId } = choose("smallest");
    expect(choose("smallest", disks, { expectedId: diskId }).diskId).toBe(diskId);
    expect(refusalOf(() => choose("largest", disks, { expectedId: diskId })).obstacle).toBe("DISK_CHANGED");
  });

  test("by a name that has passed to another disk since the request that is repeated", () => {
    const { diskId } = choose("name=sda");
    const repeated = { generation: 3n, diskId };
    const swapped = [
      { ...sda, kernelName: "sdb" },
      { ...nvme("nvme0n1", "NV-A", 5n), kernelName: "sda" },
    ];
    const refusal = refusalOf(() => choose("name=sda", swapped, { repeated }));
    expect(refusal).toMatchObject({
      obstacle: "DISK_CHANGED",
      message: expect.stringMatching(/installation 3 .* called sdb now/),
    });
    // The disk was replaced by another one, which is what the operator asks for by its name.
    expect(choose("name=sda", swapped.slice(1), { repeated }).kernelName).toBe("sda");
    expect(choose("wwn=0x5002538e40a1b2c3", swapped, { repeated }).kernelName).toBe("sdb");
  });

  test("and the refusal lists all disks, and what to write for each", () => {
    const { disks: listed } = refusalOf(() => choose("nvme"));
    expect(listed.map(({ disk, isMeant, selector }) => [disk.kernelName, isMeant, selector])).toEqual([
      ["sda", false, "wwn=0x5002538e40a1b2c3"],
      ["nvme0n1", true, "serial=NV-A"],
      ["nvme1n1", true, "serial=NV-B"],
      ["sdz", false, "serial=STICK1"],
      ["mtdblock0", false, ""],
      ["sdy", false, ""],
    ]);
  });
});

describe("a selector", () => {
  test.each<DiskSelector>([
    { serialNumber: "A,B\\,C\\" },
    { serialNumber: "A\\", pick: "only" },
    { model: "Disk=1, the one", minBytes: 1n, maxBytes: 2n ** 63n - 1n },
    { wwn: "5000c500a1b2c3d4", path: "disk/by-path/pci-0000:00:1f.2-ata-1" },
    { path: "disk/by-id/wwn-0x5000c500a1b2c3d4", rotational: false },
    { protocol: "nvme", pick: "smallest", rotational: true },
    { kernelName: "nvme0n1" },
  ])("is read as it was written (%#)", (selector) => {
    expect(parseDiskSelector(formatDiskSelector(selector))).toEqual(selector);
  });

  test.each([
    ["", /has "", which is none of serial=/],
    ["small", /has "small", which is none of/],
    ["serial=", /has a serial that is not a text of 1 to 256 characters/],
    ["serial=a\0b", /control characters/],
    ["wwn=0x12", /has a wwn that is not a World Wide Name/],
    ["path=/dev/sda/x", /has a path that is not a name in \/dev\/disk\/by-path/],
    ["name=sda1", /has a name that is part of a disk/],
    ["smallest,largest", /gives the disk's choice twice/],
    ["nvme,protocol=ata", /gives the disk's protocol twice/],
    ["min-size=2,max-size=1", /excludes every disk/],
    ["min-size=0", /has a min-size that is not a number of bytes from 1 up/],
    ["rotational=maybe", /neither yes nor no/],
    ["only,,nvme", /has "", which is none of/],
    ["only,", /has "", which is none of/],
  ])("%j is refused", (text, message) => {
    expect(() => parseDiskSelector(text)).toThrow(InvalidFieldError);
    expect(() => parseDiskSelector(text)).toThrow(message);
  });
});
