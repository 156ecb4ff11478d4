import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { toSoundReport } from "../../src/agent/sound-report.ts";

type Loose = Record<string, unknown>;

/** A report as a program makes it that no compiler checks. */
const looseReport = (node: Loose, warning: unknown[] = []): AgentHardwareReport =>
  ({
    $typeName: "cloud.bmaas.server.api.AgentHardwareReport",
    report: node,
    warning,
  }) as unknown as AgentHardwareReport;

const nodeOf = (node: Loose) => {
  const sound = toSoundReport(looseReport(node));
  return fromBinary(AgentHardwareReportSchema, toBinary(AgentHardwareReportSchema, sound)).report;
};

describe("a report that can be encoded", () => {
  test("is what it was", () => {
    const report = create(AgentHardwareReportSchema, {
      report: {
        manufacturer: "größer",
        memoryInstalledBytes: 2n ** 63n - 1n,
        memoryUsableRatio: 0.5,
        cpu: [{ cores: 4, architecture: { case: "x8664", value: { family: 6 } } }],
        blockDevice: [{ wwn: Uint8Array.of(1, 2), mediaErrors: 0n, rotational: true, capacityBytes: 1n }],
        networkInterface: [{ mac: Uint8Array.of(1), supportedSpeedBytes: [1n, 2n] }],
        efiSupport: 3,
      },
      warning: ["one", "two"],
    });
    expect(toSoundReport(report)).toEqual(report);
  });
});

describe("what cannot be encoded", () => {
  test("ends at the greatest and least number of its field", () => {
    const node = nodeOf({
      memoryInstalledBytes: 2n ** 64n - 1n,
      cpu: [{ cores: 1e12, hardwareThreads: Number.NEGATIVE_INFINITY, vendor: "V" }],
      blockDevice: [{ mediaErrors: 2 ** 64, capacityBytes: -(2n ** 70n), physicalBlockSizeBytes: 512.9 }],
    });
    expect(node).toMatchObject({
      memoryInstalledBytes: 2n ** 63n - 1n,
      cpu: [{ cores: 2 ** 31 - 1, hardwareThreads: -(2 ** 31), vendor: "V" }],
      blockDevice: [{ mediaErrors: 2n ** 63n - 1n, capacityBytes: -(2n ** 63n), physicalBlockSizeBytes: 512 }],
    });
  });

  test("is left out where it is no value at all, and the rest stays", () => {
    const node = nodeOf({
      manufacturer: 5,
      product: "P\ud800",
      memoryUsableRatio: Number.NaN,
      cpu: [null, { architecture: { case: "x8664", value: { family: "six" } } }, { architecture: { case: "z80" } }],
      blockDevice: [{ usageRatio: Number.POSITIVE_INFINITY, mediaErrors: Number.NaN, wwn: "text", serialNumber: "S" }],
      networkInterface: "none",
    });
    expect(node).toMatchObject({ manufacturer: "", product: "P\ufffd", memoryUsableRatio: 0, networkInterface: [] });
    expect(node?.cpu.map(({ architecture }) => architecture.case)).toEqual(["x8664", undefined]);
    expect(node?.blockDevice).toMatchObject([{ serialNumber: "S" }]);
    expect(node?.blockDevice[0]?.usageRatio).toBeUndefined();
    expect(node?.blockDevice[0]?.mediaErrors).toBeUndefined();
    expect(node?.blockDevice[0]?.wwn).toEqual(new Uint8Array());
  });

  test("never makes more than a warning of a report, whatever it is", () => {
    const anything = fc.anything({ withBigInt: true, withTypedArray: true, maxDepth: 4 });
    const keys = [
      "report",
      "warning",
      "cpu",
      "blockDevice",
      "architecture",
      "mediaErrors",
      "capacityBytes",
      "mac",
      "cores",
    ];
    const { node } = fc.letrec((tie) => ({
      node: fc.dictionary(fc.constantFrom(...keys), tie("value"), { maxKeys: 4 }),
      value: fc.oneof({ maxDepth: 5 }, anything, tie("node"), fc.array(tie("node"), { maxLength: 3 })),
    }));
    fc.assert(
      fc.property(fc.oneof(node, anything), (value) => {
        const bytes = toBinary(AgentHardwareReportSchema, toSoundReport(value as AgentHardwareReport));
        expect(bytes.length).toBeLessThan(1024 * 1024);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a report that is too large", () => {
  const disks = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      vendor: "ARRAY",
      deviceModel: "Virtual volume of an array",
      serialNumber: `60000000000000000000000000${index.toString().padStart(6, "0")}`,
      wwn: Buffer.from(`6000000000000000000000000${index.toString().padStart(7, "0")}`, "hex"),
      capacityBytes: 1_000_000_000_000n,
    }));

  test("tells the first of its disks, all of the rest, and how many disks there are", () => {
    const networkInterface = [{ name: "eno1" }];
    const sound = toSoundReport(
      create(AgentHardwareReportSchema, { report: { product: "P", blockDevice: disks(16_000), networkInterface } }),
    );
    const count = sound.report?.blockDevice.length ?? 0;
    const bytes = toBinary(AgentHardwareReportSchema, sound).length;
    expect(bytes).toBeLessThan(1000 * 1024);
    expect(bytes).toBeGreaterThan(900 * 1024);
    expect(sound.report).toMatchObject({ product: "P", networkInterface });
    expect(sound.report?.blockDevice[0]?.serialNumber).toBe(disks(1)[0]?.serialNumber);
    expect(sound.warning).toEqual([
      `block_device: the first ${count} of 16000 are reported, since a server takes no more`,
    ]);
  });

  test("is cut wherever it is long: in lists, texts and warnings", () => {
    const long = "x".repeat(5_000_000);
    const sound = toSoundReport(
      create(AgentHardwareReportSchema, {
        report: {
          manufacturer: long,
          cpu: Array(5000).fill({ model: long }),
          networkInterface: Array(5000).fill({ driver: long }),
        },
        warning: Array(5000).fill(long),
      }),
    );
    expect(toBinary(AgentHardwareReportSchema, sound).length).toBeLessThan(1024 * 1024);
    expect(sound.report?.manufacturer).toBe("x".repeat(1024));
    const { cpu = [], networkInterface = [] } = sound.report ?? {};
    expect(cpu.length + networkInterface.length).toBeGreaterThan(500);
    expect(sound.warning.filter((text) => text.includes("since a server takes no more"))).not.toEqual([]);
  });
});
