import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { EFISupport } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { collectHardwareReport } from "../../src/agent/hardware-report.ts";
import { patientMs, reportOf, type SystemTree } from "./support/system-tree.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const onLinux = process.platform === "linux";

describe("the report of this machine", () => {
  test("fits the wire, and names memory and CPUs", async () => {
    const report = await collectHardwareReport({ timeoutMs: patientMs });
    expect(fromBinary(AgentHardwareReportSchema, toBinary(AgentHardwareReportSchema, report))).toEqual(report);
    expect(report.report?.memoryInstalledBytes).toBeGreaterThan(0n);
    expect(report.report?.memoryUsableRatio).toBeGreaterThan(0);
    expect(report.report?.memoryUsableRatio).toBeLessThanOrEqual(1);
    expect(report.report?.cpu.length).toBeGreaterThan(0);
    expect(report.report?.cpu[0]?.hardwareThreads).toBeGreaterThan(0);
  });

  test("waits for each part for 10 s at most unless told otherwise", async () => {
    const timers = vi.spyOn(globalThis, "setTimeout");
    onTestFinished(() => timers.mockRestore());
    await collectHardwareReport();
    const parts = ["system", "memory", "CPUs", "block devices", "network interfaces", "EFI support"];
    expect(timers.mock.calls.filter(([, delayMs]) => delayMs === 10_000)).toHaveLength(parts.length);
  });

  test("warns of what is not known in time, and leaves it out", async () => {
    const report = await collectHardwareReport({ timeoutMs: 0 });
    expect(report.warning).toContainEqual(expect.stringMatching(/^memory: not known after 0 ms/));
    expect(report.report?.memoryInstalledBytes).toBe(0n);
    expect(toBinary(AgentHardwareReportSchema, report).length).toBeGreaterThan(0);
  });
});

describe.runIf(onLinux)("what Linux says of a server", () => {
  async function collect(tree: SystemTree, cpuinfo = "") {
    const { report, warning } = await reportOf({ "proc/cpuinfo": cpuinfo, ...tree });
    expect(warning).toEqual([]);
    return report;
  }

  test("becomes maker, product and serial number", async () => {
    const report = await collect({
      "class/dmi/id/sys_vendor": "Dell Inc.\n",
      "class/dmi/id/product_name": "PowerEdge R640\n",
      "class/dmi/id/product_serial": "ABC1234\n",
    });
    expect(report).toMatchObject({ manufacturer: "Dell Inc.", product: "PowerEdge R640", serialNumber: "ABC1234" });
  });

  test("becomes one entry for each CPU package", async () => {
    const thread = (id: number) =>
      `processor\t: ${id}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Xeon Gold\nstepping\t: 4\n` +
      `physical id\t: ${id % 2}\nsiblings\t: 4\ncpu cores\t: 2\n`;
    const report = await collect({}, [0, 1, 2, 3].map(thread).join("\n"));
    const expected = {
      architecture: { case: "x8664", value: { family: 6, model: 85, stepping: 4 } },
      cores: 2,
      hardwareThreads: 4,
      vendor: "GenuineIntel",
      model: "Xeon Gold",
    };
    expect(report?.cpu).toHaveLength(2);
    expect(report?.cpu).toMatchObject([expected, expected]);
  });

  test("becomes the interfaces that have a device, with speed in bytes per second", async () => {
    const report = await collect({
      "devices/pci/0000:3b:00.0/vendor": "0x8086\n",
      "bus/pci/drivers/ixgbe/bind": "",
      "devices/pci/0000:3b:00.0/driver": "->bus/pci/drivers/ixgbe",
      "class/net/eno1/device": "->devices/pci/0000:3b:00.0",
      "class/net/eno1/address": "24:6e:96:aa:bb:cc\n",
      "class/net/eno1/carrier": "1\n",
      "class/net/eno1/speed": "10000\n",
      "class/net/eno2/device": "->devices/pci/0000:3b:00.0",
      "class/net/eno2/address": "24:6e:96:aa:bb:cd\n",
      "class/net/eno2/carrier": "0\n",
      "class/net/eno2/speed": "-1\n",
      "class/net/lo/address": "00:00:00:00:00:00\n",
      "class/net/br0/address": "24:6e:96:aa:bb:ce\n",
      "class/net/bonding_masters": "\n",
    });
    expect(report?.networkInterface).toMatchObject([
      {
        mac: Uint8Array.of(0x24, 0x6e, 0x96, 0xaa, 0xbb, 0xcc),
        driver: "ixgbe",
        linkUp: true,
        currentSpeedBytes: 1_250_000_000n,
      },
      { mac: Uint8Array.of(0x24, 0x6e, 0x96, 0xaa, 0xbb, 0xcd), driver: "ixgbe", linkUp: false, currentSpeedBytes: 0n },
    ]);
  });

  const bios = (length: number, characteristics: number) => {
    const bytes = Buffer.alloc(64);
    bytes[1] = length;
    bytes[0x13] = characteristics;
    return bytes;
  };
  test.each([
    ["it booted by EFI", { "firmware/efi/fw_platform_size": "64\n" }, EFISupport.EFI_SUPPORT_ENABLED],
    ["SMBIOS names it", { "firmware/dmi/entries/0-0/raw": bios(0x18, 0x0c) }, EFISupport.EFI_SUPPORT_SUPPORTED],
    ["SMBIOS denies it", { "firmware/dmi/entries/0-0/raw": bios(0x18, 0x04) }, EFISupport.EFI_SUPPORT_UNSUPPORTED],
    ["SMBIOS is too old", { "firmware/dmi/entries/0-0/raw": bios(0x12, 0x08) }, EFISupport.EFI_SUPPORT_UNKNOWN],
    ["nobody says", {}, EFISupport.EFI_SUPPORT_UNKNOWN],
  ])("becomes the support of EFI: %s", async (_why, files: SystemTree, expected) =>
    expect((await collect(files))?.efiSupport).toBe(expected),
  );

  test("that cannot be read becomes a warning each, and the rest is reported", async () => {
    const absent = join(await temporaryFolder(), "absent");
    const report = await collectHardwareReport({ files: { sys: absent, proc: "/proc" }, timeoutMs: patientMs });
    expect(report.warning).toEqual([
      expect.stringMatching(/^block devices: ENOENT/),
      expect.stringMatching(/^network interfaces: ENOENT/),
    ]);
    expect(report.report?.cpu.length).toBeGreaterThan(0);
  });

  test("is what /proc/cpuinfo says here", async () => {
    const [, family] = /^cpu family\s*: (\d+)/m.exec(await readFile("/proc/cpuinfo", "utf8")) ?? [];
    const architecture = (await collectHardwareReport({ timeoutMs: patientMs })).report?.cpu[0]?.architecture;
    expect(architecture?.value?.family.toString()).toBe(family);
  });
});
