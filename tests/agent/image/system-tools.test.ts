/** What the kernel and the firmware are told about an installed disk, and what is said when that fails. */
import { describe, expect, test } from "vitest";
import {
  createToolRunner,
  type RunTool,
  rereadPartitions,
  setBootEntry,
} from "../../../src/agent/image/system-tools.ts";
import { createFreezer } from "../support/frozen-processes.ts";
import { installTool } from "../support/install-tool.ts";

const absent = () => Promise.reject(Object.assign(new Error("spawn ENOENT"), { code: "ENOENT" }));
const failing = (stderr: string) => () =>
  Promise.reject(Object.assign(new Error("Command failed"), { code: 1, stderr }));

/** Records what is run; `answers` are by tool. */
function record(answers: Record<string, () => Promise<string>>): { run: RunTool; calls: string[] } {
  const calls: string[] = [];
  const run: RunTool = async (tool, args) => {
    calls.push([tool, ...args].join(" "));
    return await (answers[tool] ?? absent)();
  };
  return { run, calls };
}

describe("the kernel reads the new partition table", () => {
  test("by blockdev", async () => {
    const { run, calls } = record({ blockdev: async () => "" });
    expect(await rereadPartitions("/dev/sdq", run)).toBeUndefined();
    expect(calls).toEqual(["blockdev --rereadpt /dev/sdq"]);
  });

  test("by partprobe where there is no blockdev", async () => {
    const { run, calls } = record({ partprobe: async () => "" });
    expect(await rereadPartitions("/dev/sdq", run)).toBeUndefined();
    expect(calls).toEqual(["blockdev --rereadpt /dev/sdq", "partprobe /dev/sdq"]);
  });

  test("at the next boot otherwise, which is said with the reasons", async () => {
    const { run } = record({ blockdev: failing("ioctl error on BLKRRPART: Device or resource busy\n") });
    expect(await rereadPartitions("/dev/sdq", run)).toBe(
      "the kernel has not read the new partition table of /dev/sdq, and does so at the next boot: " +
        "blockdev failed: ioctl error on BLKRRPART: Device or resource busy, partprobe is not installed",
    );
  });
});

describe("the UEFI boot entry", () => {
  const listing = [
    "BootCurrent: 0003",
    "BootOrder: 0003,0001,000A",
    "Boot0001* UEFI PXEv4 (MAC:525400123456)",
    "Boot0003* bmaas",
    "Boot000A* bmaas\tHD(1,GPT,6f1f3f1f,0x800,0x1000)/File(\\EFI\\BOOT\\BOOTX64.EFI)",
    "Boot000B* bmaas-rescue",
    "Boot000C  bmaas",
  ].join("\n");

  test("leads to the image's EFI system partition, and replaces those of earlier installations", async () => {
    const { run, calls } = record({ efibootmgr: async () => listing });
    expect(await setBootEntry("/dev/sdq", { efiPartition: 2, run, hasEfi: true })).toBeUndefined();
    const deleted = ["0003", "000A", "000C"].map((number) => `efibootmgr --quiet --bootnum ${number} --delete-bootnum`);
    expect(calls).toEqual([
      "efibootmgr",
      ...deleted,
      expect.stringMatching(
        /^efibootmgr --quiet --create --disk \/dev\/sdq --part 2 --label bmaas --loader \\EFI\\BOOT\\BOOT\w+\.EFI$/,
      ),
    ]);
  });

  test("is not needed on a system that was not started by UEFI", async () => {
    const { run, calls } = record({});
    expect(await setBootEntry("/dev/sdq", { efiPartition: 1, run, hasEfi: false })).toBeUndefined();
    expect(calls).toEqual([]);
  });

  test.each([
    ["without efibootmgr", 1, absent, /order decides: efibootmgr is not installed$/],
    [
      "when efibootmgr fails",
      1,
      failing("EFI variables are not supported\n"),
      /efibootmgr failed: EFI variables are not supp/,
    ],
    ["of an image without an EFI system partition", undefined, absent, /the image has no EFI system partition$/],
  ])("is not set %s, which is said", async (_when, efiPartition, efibootmgr, reason) => {
    const { run } = record({ efibootmgr });
    const warning = await setBootEntry("/dev/sdq", { efiPartition, run, hasEfi: true });
    expect(warning).toMatch(/^the UEFI boot entry is not set, so the firmware's order decides: /);
    expect(warning).toMatch(reason);
  });
});

test("a tool that hangs in the kernel is not waited for (skipped where nothing can be frozen)", async (context) => {
  const freezer = createFreezer();
  if (freezer === undefined) return context.skip("this machine has no cgroup in which a process can be frozen");
  await installTool("blockdev", `${freezer.freezeSelf}; true`);
  expect(await rereadPartitions("/dev/sdq", createToolRunner(AbortSignal.timeout(500)))).toMatch(
    /^the kernel has not read the new partition table .*: blockdev did not end in time, partprobe /,
  );
});
