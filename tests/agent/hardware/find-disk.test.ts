/** Which disk the agent installs onto, and which ones it refuses, on layouts of /sys and /proc. */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { describe, expect, onTestFinished, test } from "vitest";
import { type ExpectedDisk, ExpectedDiskSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import {
  checkBlockDevice,
  DiskMismatchError,
  type FindExpectedDiskOptions,
  findExpectedDisk,
} from "../../../src/agent/hardware/find-disk.ts";
import { blockDevice, nvmeDisk, sataDisk, scsiPath, sized, virtioDisk } from "../support/linux-disks.ts";
import { layOutSystem, type SystemTree } from "../support/system-tree.ts";

const sata = create(ExpectedDiskSchema, {
  wwn: Buffer.from("5002538e40a1b2c3", "hex"),
  serialNumber: "S3Z8NB0K123456",
  capacityBytes: 2n ** 30n,
  model: "Samsung SSD 860 PRO 1TB LONGNAME",
});
const virtio = create(ExpectedDiskSchema, { serialNumber: "VBLK-SERIAL-01", capacityBytes: 2n ** 30n });

const sataFolder = "devices/pci0000:00/0000:00:1f.2/ata1/host2/target2:0:0/2:0:0:0/block/sdd";
const numbered: SystemTree = { [`${sataFolder}/dev`]: "8:48\n", [`${sataFolder}/ro`]: "0\n" };

/** A partition of the SATA disk, with further attributes. */
function partition(name: string, number: string, attributes: SystemTree = {}): SystemTree {
  const entries = Object.entries({ partition: "1\n", dev: `${number}\n`, ...attributes });
  return Object.fromEntries(entries.map(([path, content]) => [`${sataFolder}/${name}/${path}`, content]));
}

async function find(expected: ExpectedDisk, tree: SystemTree, options: FindExpectedDiskOptions = {}) {
  const checked: string[] = [];
  const checkDevice = async (path: string, number: string) => void checked.push(`${path} ${number}`);
  const files = { ...(await layOutSystem(tree)), dev: "/dev" };
  return { ...(await findExpectedDisk(expected, { files, checkDevice, ...options })), checked };
}

async function refusalOf(
  expected: ExpectedDisk,
  tree: SystemTree,
  options: FindExpectedDiskOptions = {},
): Promise<string> {
  const error = await find(expected, tree, options).then(
    ({ path }) => expect.fail(`found ${path}`),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DiskMismatchError);
  return (error as Error).message;
}

describe.runIf(process.platform === "linux")("the expected disk", () => {
  test("is found by its World Wide Name, whatever it is called now, and its device's number is checked", async () => {
    const other = blockDevice("sda", "pci0/ata2/host0/block/sda", {
      ...sized(2_097_152, 1),
      "device/wwid": "naa.5002538e40a1ffff\n",
    });
    expect(await find(sata, { ...other, ...sataDisk, ...numbered })).toEqual({
      path: "/dev/sdd",
      name: "sdd",
      capacityBytes: 2n ** 30n,
      checked: ["/dev/sdd 8:48"],
    });
  });

  test("is found by serial number and capacity where it has no World Wide Name", async () => {
    expect(await find(virtio, { ...sataDisk, ...virtioDisk })).toMatchObject({ name: "vda" });
  });

  test("is found by its path where nothing else identifies it", async () => {
    const nameless = blockDevice("vdb", "pci0000:00/0000:00:05.0/virtio2/block/vdb", sized(4096));
    const expected = { capacityBytes: 4096n * 512n, byPath: "disk/by-path/pci-0000:00:05.0" };
    expect(await find(create(ExpectedDiskSchema, expected), { ...virtioDisk, ...nameless })).toMatchObject({
      name: "vdb",
    });
    const elsewhere = create(ExpectedDiskSchema, { ...expected, byPath: "disk/by-path/pci-0000:00:06.0" });
    expect(await refusalOf(elsewhere, { ...virtioDisk, ...nameless })).toMatch("it is not on this machine");
  });

  test("is found once although several paths lead to it", async () => {
    const expected = create(ExpectedDiskSchema, {
      wwn: Buffer.from("5000c500aabbccdd", "hex"),
      serialNumber: "SCSISER01",
      capacityBytes: 2n ** 30n,
      model: "SASDISK4000",
    });
    const tree = { ...scsiPath("sda", "05", 0), ...scsiPath("sdb", "06", 1) };
    expect(await find(expected, tree)).toMatchObject({ name: "sda" });
    // Device mapper combines the paths.
    const held = { "devices/pci0000:00/0000:00:06.0/virtio1/host1/target1:0:0/1:0:0:0/block/sdb/holders/dm-3": "" };
    const named = { "block/dm-3/dm/uuid": "mpath-35000c500aabbccdd\n", "block/dm-3/dm/name": "mpatha\n" };
    expect(await refusalOf(expected, { ...tree, ...held, ...named })).toBe(
      "disk_mismatch: sda is in use: sdb is held by dm-3 (mpath mpatha)",
    );
  });

  test("is not a disk of the expected name", async () => {
    const renamed = blockDevice("sdd", "pci0/ata2/host0/block/sdd", {
      ...sized(2_097_152, 1),
      "device/vendor": "ATA     \n",
      "device/wwid": "naa.5002538e40a1ffff\n",
    });
    expect(await refusalOf(sata, renamed)).toBe(
      "disk_mismatch: the request expects the disk with WWN 0x5002538e40a1b2c3, serial number S3Z8NB0K123456, model " +
        "Samsung SSD 860 PRO 1TB LONGNAME, 1073741824 bytes: it is not on this machine; found sdd (WWN " +
        "0x5002538e40a1ffff, 1073741824 bytes)",
    );
    expect(await refusalOf(sata, {})).toMatch("it is not on this machine; found no disk");
  });

  test.each<[string, Partial<ExpectedDisk>, string]>([
    ["serial number", { serialNumber: "S3Z8NB0K999999" }, "sdd has another serial number"],
    ["capacity", { capacityBytes: 2n ** 31n }, "sdd has another capacity"],
    ["model", { model: "Samsung SSD 870" }, "sdd has another model"],
  ])("is not one with the same World Wide Name and another %s", async (_, differing, reason) => {
    expect(await refusalOf(create(ExpectedDiskSchema, { ...sata, ...differing }), sataDisk)).toMatch(reason);
  });

  test("is not one of two that cannot be told apart", async () => {
    const twin = Object.fromEntries(
      Object.entries(sataDisk).map(([path, content]) => [
        path.replaceAll("sdd", "sde").replace("/ata1/", "/ata9/"),
        typeof content === "string" ? content.replaceAll("sdd", "sde").replace("/ata1/", "/ata9/") : content,
      ]),
    );
    expect(await refusalOf(sata, { ...sataDisk, ...twin })).toMatch("sdd and sde cannot be told apart");
  });

  test("is refused where /sys does not list disks", async () => {
    const files = { sys: "/nonexistent", proc: "/proc" };
    expect(await refusalOf(sata, {}, { files })).toMatch("this machine's disks cannot be listed");
  });
});

describe.runIf(process.platform === "linux")("a disk in use is refused", () => {
  const parts = { ...partition("sdd1", "8:49"), ...partition("sdd2", "8:50") };

  test.each<[string, SystemTree, string]>([
    ["the disk is mounted", { "proc/self/mountinfo": "22 1 8:48 / / rw - ext4 /dev/root rw\n" }, "sdd is mounted at /"],
    [
      "a partition is mounted",
      {
        "proc/self/mountinfo": "22 1 0:20 / /proc rw - proc proc rw\n30 1 8:50 / /mnt/a\\040b rw - ext4 /dev/sdd2 rw\n",
      },
      "sdd2 is mounted at /mnt/a b",
    ],
    [
      "a partition is mounted by Btrfs, under a number of its own",
      { "proc/self/mountinfo": "30 1 0:31 / /srv rw shared:1 - btrfs /dev/sdd1 rw\n" },
      "sdd1 is mounted at /srv",
    ],
    [
      "a partition is one of several of a mounted Btrfs",
      { "fs/btrfs/f00f/devices/sdd2": `->${sataFolder}/sdd2` },
      "sdd2 belongs to a mounted Btrfs",
    ],
    [
      "a partition is swapped to",
      { "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/sdd1   partition\t8388604\t0\t-2\n" },
      "sdd1 is swapped to",
    ],
    [
      "LVM holds a partition",
      {
        [`${sataFolder}/sdd2/holders/dm-0`]: "",
        "block/dm-0/dm/uuid": "LVM-abc\n",
        "block/dm-0/dm/name": "vg0-root\n",
      },
      "sdd2 is held by dm-0 (LVM vg0-root)",
    ],
    [
      "md holds the disk",
      { [`${sataFolder}/holders/md0`]: "", "block/md0/md/level": "raid1\n" },
      "sdd is held by md0 (raid1)",
    ],
  ])("when %s", async (_, used, reason) => {
    expect(await refusalOf(sata, { ...sataDisk, ...numbered, ...parts, ...used })).toBe(
      `disk_mismatch: sdd is in use: ${reason}`,
    );
  });

  test("and so is one that is read-only", async () => {
    const tree = { ...sataDisk, ...numbered, [`${sataFolder}/ro`]: "1\n" };
    expect(await refusalOf(sata, tree)).toBe("disk_mismatch: sdd is read-only");
  });

  test("but not because another disk is", async () => {
    const used = { "proc/self/mountinfo": "22 1 253:0 / / rw - ext4 /dev/vda rw\n" };
    expect(await find(sata, { ...sataDisk, ...numbered, ...parts, ...nvmeDisk, ...virtioDisk, ...used })).toMatchObject(
      {
        name: "sdd",
      },
    );
  });
});

describe.runIf(process.platform === "linux")("the device node", () => {
  test("must be there, and a block device", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bmaas-dev-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const tree = { ...sataDisk, ...numbered };
    const files = { ...(await layOutSystem(tree)), dev: folder };
    await expect(findExpectedDisk(sata, { files })).rejects.toThrow(/^disk_mismatch: .*sdd: ENOENT/);
    await writeFile(join(folder, "sdd"), "");
    await expect(findExpectedDisk(sata, { files })).rejects.toThrow(`${join(folder, "sdd")} is not a block device`);
  });

  test("that somebody holds open must be the expected disk, and is not opened again", async () => {
    const tree = { ...sataDisk, ...numbered };
    expect(await find(sata, tree, { heldDevice: "8:48" })).toMatchObject({ path: "/dev/sdd", checked: [] });
    expect(await refusalOf(sata, tree, { heldDevice: "8:32" })).toBe(
      "disk_mismatch: /dev/sdd leads to device 8:32 and not to 8:48, the expected disk",
    );
  });

  test.runIf(canLoop())("must lead to the expected disk, and nobody else may have it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bmaas-loop-"));
    const image = join(folder, "disk.img");
    await writeFile(image, "");
    await truncate(image, 64 * 1024 * 1024);
    const loop = execFileSync("losetup", ["--find", "--show", image], { encoding: "utf8" }).trim();
    onTestFinished(async () => {
      execFileSync("losetup", ["-d", loop]);
      await rm(folder, { recursive: true });
    });
    const { rdev } = await stat(loop);
    await checkBlockDevice(loop, `7:${rdev & 0xff}`);
    await expect(checkBlockDevice(loop, "8:0")).rejects.toThrow(
      `${loop} leads to device 7:${rdev & 0xff} and not to 8:0`,
    );
  });
});

function canLoop(): boolean {
  try {
    execFileSync("losetup", ["--find"], { stdio: "ignore" });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}
