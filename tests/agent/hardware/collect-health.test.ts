/** How the health of many disks is asked for, of a smartctl that does what a test wants. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { BlockDevice } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { readBlockDevices } from "../../../src/agent/hardware/block-devices.ts";
import { collectHardwareReport } from "../../../src/agent/hardware-report.ts";
import { blockDevice, nvmeDisk, scsiPath, sdCard, sized, usbDisk, virtioDisk } from "../support/linux-disks.ts";
import { hideSmartctl, installSmartctl } from "../support/smartctl.ts";
import { layOutSystem, type SystemTree } from "../support/system-tree.ts";

const nvme = (name: string) =>
  blockDevice(name, `pci0/nvme/${name.slice(0, 5)}/${name}`, { ...sized(2000), "device/serial": `SN-${name}\n` });
const raidVolume = blockDevice("sda", "pci0/host0/block/sda", { ...sized(1000), "device/model": "RAID VOLUME\n" });

const fails = { nvme_smart_health_information_log: { critical_warning: 1, available_spare: 3, media_errors: 77 } };
const works = { smart_status: { passed: true }, nvme_smart_health_information_log: { media_errors: 0 } };
const noSmart = { smartctl: { exit_status: 4 }, device: { type: "scsi" } };

async function collect(tree: SystemTree, timeoutMs = 20_000) {
  const { fields, warnings } = await readBlockDevices(await layOutSystem(tree), { timeoutMs });
  const byName = new Map(fields.blockDevice.map((disk) => [disk.kernelName, disk]));
  return { disk: (name: string) => byName.get(name) as BlockDevice, disks: fields.blockDevice, warnings };
}

describe.runIf(process.platform === "linux")("the health of disks", () => {
  test("is known of those behind a disk that has none", async () => {
    await installSmartctl({ "/dev/sda": noSmart, "/dev/nvme0n1": fails, "/dev/nvme1n1": works });
    const { disk, warnings } = await collect({ ...raidVolume, ...nvme("nvme0n1"), ...nvme("nvme1n1") });
    expect(disk("nvme0n1")).toMatchObject({ criticalWarning: true, mediaErrors: 77n });
    expect(disk("nvme1n1")).toMatchObject({ criticalWarning: false, mediaErrors: 0n });
    expect(disk("sda").mediaErrors).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  test("is known within a time that is no whole number of milliseconds", async () => {
    await installSmartctl({ "/dev/nvme0n1": fails });
    const { disk, warnings } = await collect(nvme("nvme0n1"), 60_000.25);
    expect(disk("nvme0n1").mediaErrors).toBe(77n);
    expect(warnings).toEqual([]);
  });

  test("is missing of a slow one alone, which is reported with all else", async () => {
    await installSmartctl({ "/dev/nvme0n1": "sleep 60", "/dev/nvme1n1": fails });
    const { disk, warnings } = await collect({ ...nvme("nvme0n1"), ...nvme("nvme1n1") }, 6000);
    expect(disk("nvme0n1")).toMatchObject({ serialNumber: "SN-nvme0n1", capacityBytes: 1_024_000n });
    expect(disk("nvme0n1").mediaErrors).toBeUndefined();
    expect(disk("nvme1n1").mediaErrors).toBe(77n);
    expect(warnings).toEqual(["health of nvme0n1: smartctl did not answer in time"]);
  });

  test("does not keep the other parts of a report waiting for longer than a part may take", async () => {
    await installSmartctl({ "/dev/nvme0n1": "trap '' TERM HUP INT; sleep 60; sleep 60" });
    const files = await layOutSystem(nvme("nvme0n1"));
    const report = await collectHardwareReport({ files, timeoutMs: 5000 });
    expect(report.report?.blockDevice).toHaveLength(1);
    expect(report.warning).toEqual(["block devices: health of nvme0n1: smartctl did not answer in time"]);
  });

  test("is missing of all, with one warning, where there is no smartctl", async () => {
    await hideSmartctl();
    const { disks, warnings } = await collect({ ...nvme("nvme0n1"), ...nvme("nvme1n1") });
    expect(disks).toHaveLength(2);
    expect(warnings).toEqual(["health: smartctl is not installed"]);
  });

  const denied = {
    messages: [{ string: "Smartctl open device: /dev/nvme0n1 failed: Permission denied", severity: "error" }],
  };
  test.each([
    [
      "cannot open it",
      `echo '${JSON.stringify({ smartctl: denied })}'; exit 2`,
      /: Smartctl open device: .* Permission denied$/,
    ],
    [
      "is too old",
      "echo 'smartctl: invalid option -- j'; exit 1",
      /: smartctl ended with status 1 and printed no JSON/,
    ],
    ["prints a list", "echo '[1]'", /: smartctl printed JSON that is not an object$/],
    ["prints without end", "yes", /: smartctl printed more than 1048576 bytes$/],
    ["is killed", "kill -9 $$", /: smartctl was killed by SIGKILL$/],
  ])("is missing where smartctl %s", async (_what, script, warning) => {
    await installSmartctl({ "/dev/nvme0n1": script, "/dev/nvme1n1": fails });
    const { disk, warnings } = await collect({ ...nvme("nvme0n1"), ...nvme("nvme1n1") });
    expect(warnings).toEqual([expect.stringMatching(warning)]);
    expect(warnings[0]).toMatch(/^health of nvme0n1: /);
    expect(disk("nvme1n1").mediaErrors).toBe(77n);
  });

  test("is read from an answer that is long, but no longer than may be", async () => {
    const filler = "x".repeat(900_000);
    await installSmartctl({ "/dev/nvme0n1": { ...fails, filler } });
    expect((await collect(nvme("nvme0n1"))).disk("nvme0n1").mediaErrors).toBe(77n);
  });

  test("is asked for by another path where one fails", async () => {
    await installSmartctl({ "/dev/sda": "exit 2", "/dev/sdb": { scsi_grown_defect_list: 9 } });
    const { disks, warnings } = await collect({ ...scsiPath("sda", "05", 0), ...scsiPath("sdb", "06", 1) });
    expect(disks).toMatchObject([{ kernelName: "sda", mediaErrors: 9n }]);
    expect(warnings).toEqual([]);
  });

  test("is not asked of what has none to tell", async () => {
    const bin = await installSmartctl({ "/dev/*": `echo "$*" >> "$0.asked"; echo '{}'` });
    await collect({ ...nvmeDisk, ...usbDisk(), ...sdCard, ...virtioDisk });
    const asked = await readFile(join(bin, "smartctl.asked"), "utf8");
    expect(asked).toBe("-j -a -l devstat,1 -l devstat,4 -l ssd /dev/nvme0n1\n");
  });

  test("is asked of eight disks at a time", async () => {
    const names = Array.from({ length: 30 }, (_, number) => `nvme${number}n1`);
    const script = [
      'cd "$(dirname "$0")"; mkdir "on.$$"; ls | grep -c "^on" > "seen.$$"',
      'sleep 0.2; rmdir "on.$$"; echo {}',
    ].join("\n");
    const bin = await installSmartctl(Object.fromEntries(names.map((name) => [`/dev/${name}`, script])));
    const { warnings } = await collect(Object.assign({}, ...names.map(nvme)), 60_000);
    expect(warnings).toEqual([]);
    const seen = (await readdir(bin)).filter((name) => name.startsWith("seen."));
    const counts = await Promise.all(seen.map(async (name) => Number(await readFile(join(bin, name), "utf8"))));
    expect(counts).toHaveLength(30);
    expect(Math.max(...counts)).toBeGreaterThan(1);
    expect(Math.max(...counts)).toBeLessThanOrEqual(8);
  });

  test("ends with the agent, and leaves no process", async () => {
    const bin = await installSmartctl({ "/dev/nvme0n1": 'echo $$ > "$0.pid"; sleep 60' });
    const files = await layOutSystem(nvme("nvme0n1"));
    const ending = new AbortController();
    const reading = readBlockDevices(files, { timeoutMs: 60_000, signal: ending.signal });
    const pid = await until(async () => Number(await readFile(join(bin, "smartctl.pid"), "utf8")) || undefined);
    ending.abort();
    expect((await reading).fields.blockDevice).toHaveLength(1);
    await until(async () => (isAlive(pid) ? undefined : true));
  });

  test("of many that all fail is summed up", async () => {
    const names = Array.from({ length: 30 }, (_, number) => `nvme${number}n1`);
    await installSmartctl(Object.fromEntries(names.map((name) => [`/dev/${name}`, "exit 2"])));
    const { warnings } = await collect(Object.assign({}, ...names.map(nvme)), 60_000);
    expect(warnings).toHaveLength(21);
    expect(warnings.at(-1)).toBe("health: not known of 10 more disks");
  });
});

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
