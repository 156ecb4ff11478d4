/** Installing onto real block devices, and refusing those that something uses. Skipped without root or loop devices. */
import { execFileSync, spawnSync } from "node:child_process";
import { constants } from "node:fs";
import { mkdir, open, readdir, readFile, readlink, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { describe, expect, onTestFinished, test } from "vitest";
import { ExpectedDiskSchema, OSInstallationRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createFileDiskFinder, readFileDisk } from "../../../src/agent/hardware/file-disk.ts";
import type { FindDisk } from "../../../src/agent/hardware/find-disk.ts";
import { createImageInstaller } from "../../../src/agent/image/image-installer.ts";
import { allocateAligned, openTarget } from "../../../src/agent/image/target.ts";
import { findIdentity } from "../../../src/contract/disk-identity.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { serveImage } from "./support/image-server.ts";
import { createOldContent, findBootable, mib } from "./support/install.ts";
import {
  createLoopDevice,
  hasProgram,
  type LoopDevice,
  listPartitions,
  runProgram,
  whyNoLoopDevices,
} from "./support/loop-device.ts";
import { createGptImage, digestOf } from "./support/test-image.ts";

const image = createGptImage();
const sizeBytes = 20 * mib;
const userData = Buffer.from("#cloud-config\n");
const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const warnings: string[] = [];

/** Installs the image onto the device as an agent does that has found it. Resolves to the error or to undefined. */
async function install(path: string, options: { image?: Buffer; capacityBytes?: number; findDisk?: FindDisk } = {}) {
  const { image: fetched = image, capacityBytes = sizeBytes, findDisk = createFileDiskFinder(path) } = options;
  const { url } = await serveImage(fetched);
  const value = { url, digest: digestOf(fetched), rootDevice: "sda", userData };
  const expectedDisk = (await readFileDisk(path).then(findIdentity, () => undefined)) ?? create(ExpectedDiskSchema);
  Object.assign(expectedDisk, { devicePath: path, capacityBytes: BigInt(capacityBytes) });
  const request = create(OSInstallationRequestSchema, { generation: 2n, expectedDisk, type: { case: "image", value } });
  warnings.length = 0;
  const onWarning = (warning: string) => warnings.push(warning);
  const installer = createImageInstaller({ machineId, findDisk, onWarning });
  return await installer(request, new AbortController().signal, () => {});
}

/** Looks for the disk as an agent does. Resolves to the error or to undefined. */
async function find(path: string): Promise<string | undefined> {
  const identity = findIdentity(await readFileDisk(path));
  if (identity === undefined) throw new Error("the device has no identity");
  const found = createFileDiskFinder(path)(identity);
  return await found.then(
    () => undefined,
    (error: Error) => error.message,
  );
}

/** Returns O_DIRECT or 0 for each time that this process has the device open. */
async function findDirectFlags(path: string): Promise<number[]> {
  const found: number[] = [];
  for (const descriptor of await readdir("/proc/self/fd")) {
    const target = await readlink(`/proc/self/fd/${descriptor}`).catch(() => undefined);
    if (target !== path) continue;
    const [, flags = ""] = /^flags:\s*([0-7]+)$/m.exec(await readFile(`/proc/self/fdinfo/${descriptor}`, "utf8")) ?? [];
    found.push(Number.parseInt(flags, 8) & constants.O_DIRECT);
  }
  return found;
}

async function expectUntouched({ file }: LoopDevice): Promise<void> {
  expect((await readFile(file)).equals(createOldContent(sizeBytes))).toBe(true);
}

describe.skipIf(whyNoLoopDevices !== undefined)(
  `block devices${whyNoLoopDevices === undefined ? "" : `, skipped: ${whyNoLoopDevices}`}`,
  () => {
    test("an image is installed, and its bytes are on the device", async () => {
      const device = await createLoopDevice(sizeBytes);
      expect(await install(device.path)).toBeUndefined();
      const disk = await readFile(device.file);
      expect(findBootable(disk)).toEqual(["boot sector", "GPT", "second GPT"]);
      expect(disk.subarray(mib, 7 * mib).equals(image.subarray(mib, 7 * mib))).toBe(true);
      expect(disk.includes('"bmaas-generation": "2"')).toBe(true);
      expect(warnings.filter((warning) => !warning.includes("efibootmgr") && !warning.includes("UEFI"))).toEqual([]);
    });

    test("a file that stands for a disk is left alone while a loop device is made of it", async () => {
      const device = await createLoopDevice(sizeBytes);
      expect(await find(device.file)).toBe(
        `disk_mismatch: ${device.file} is in use: disk is behind ${basename(device.path)}`,
      );
    });

    test("the disk is found again while its device is open, and left alone if it is another one by then", async () => {
      const [device, other] = [await createLoopDevice(sizeBytes), await createLoopDevice(sizeBytes)];
      const asked: (string | undefined)[] = [];
      const findDisk: FindDisk = async (expected, options) => {
        asked.push(options?.heldDevice);
        return await createFileDiskFinder(other.path)(expected, options);
      };
      expect(await install(device.path, { findDisk })).toMatch(/^disk_mismatch: /);
      expect(asked).toEqual([expect.stringMatching(/^7:\d+$/)]);
      await expectUntouched(device);
      await expectUntouched(other);
    });

    test("on a disk with sectors of 4096 bytes, an image made for them is installed, and no other", async () => {
      const device = await createLoopDevice(sizeBytes, { sectorBytes: 4096 });
      expect(await install(device.path)).toBe(
        `the image is made for disks with sectors of 512 bytes, and those of ${device.path} have 4096; ` +
          `nothing was written to ${device.path}`,
      );
      await expectUntouched(device);
      const large = createGptImage({ tableSectorBytes: 4096 });
      expect(await install(device.path, { image: large })).toBeUndefined();
      expect(findBootable(await readFile(device.file))).toEqual(["boot sector", "GPT", "second GPT"]);
    });

    test("one whose first sector cannot be read is written past the page cache all the same", async () => {
      const device = await createLoopDevice(sizeBytes);
      // What is behind the end of the file cannot be read any more, but it can be written.
      await truncate(device.file, 0);
      const target = await openTarget(device.path);
      onTestFinished(() => target.close());
      await expect(target.read(allocateAligned(4096), 0)).rejects.toThrow(/^cannot read .* at byte 0: EIO/);
      expect(await findDirectFlags(device.path)).toEqual([constants.O_DIRECT]);
      await target.write(allocateAligned(mib), 0);
      await target.read(allocateAligned(4096), 0);
    });

    test("the kernel knows the new partitions (skipped where it cannot read a GPT)", async ({ skip }) => {
      const device = await createLoopDevice(sizeBytes);
      await writeFile(device.file, image);
      spawnSync("blockdev", ["--rereadpt", device.path]);
      if ((await listPartitions(device)).length === 0) skip("this kernel cannot read a GPT on loop devices");
      expect(await install(device.path)).toBeUndefined();
      expect(await listPartitions(device)).toEqual([1, 2, 3]);
    });

    test.runIf(hasProgram("mkfs.ext4"))("one that is mounted is refused", async () => {
      const [device, folder] = [await createLoopDevice(sizeBytes), await temporaryFolder()];
      runProgram("mkfs.ext4", "-q", "-F", device.path);
      runProgram("mount", device.path, folder);
      onTestFinished(() => runProgram("umount", folder));
      await writeFile(join(folder, "precious"), "mine");
      expect(await install(device.path)).toMatch(/^disk_mismatch: \/dev\/loop\d+ is in use: loop\d+ is mounted at /);
      expect(await find(device.path)).toBe(
        `disk_mismatch: ${device.path} is in use: ${device.path.slice(5)} is mounted at ${folder}`,
      );
      expect(await readFile(join(folder, "precious"), "utf8")).toBe("mine");
      runProgram("umount", folder);
      runProgram("fsck.ext4", "-n", "-f", device.path);
      runProgram("mount", device.path, folder);
      expect(await readFile(join(folder, "precious"), "utf8")).toBe("mine");
    });

    test("one that is behind a loop device is refused, although Linux would let it be opened", async () => {
      const device = await createLoopDevice(sizeBytes);
      const above = execFileSync("losetup", ["--find", "--show", device.path], { encoding: "utf8" }).trim();
      onTestFinished(() => runProgram("losetup", "--detach", above));
      const error = `disk_mismatch: ${device.path} is in use: ${device.path.slice(5)} is behind ${above.slice(5)}`;
      expect(await find(device.path)).toBe(error);
      expect(await install(device.path)).toBe(error);
      await expectUntouched(device);
    });

    test.runIf(hasProgram("mkfs.ext4") && hasProgram("addpart"))(
      "one with a mounted partition is refused",
      async () => {
        const [device, folder] = [await createLoopDevice(sizeBytes), await temporaryFolder()];
        runProgram("addpart", device.path, "1", "2048", "32768");
        onTestFinished(() => runProgram("delpart", device.path, "1"));
        const partition = `${device.path}p1`;
        runProgram("mkfs.ext4", "-q", "-F", partition);
        runProgram("mount", partition, folder);
        onTestFinished(() => runProgram("umount", folder));
        const before = await readFile(device.file);
        expect(await install(device.path)).toMatch(/^disk_mismatch: \/dev\/loop\d+ is in use/);
        expect(await find(device.path)).toMatch(/^disk_mismatch: \/dev\/loop\d+ is in use: loop\d+p1 is mounted at /);
        expect((await readFile(device.file)).subarray(0, mib).equals(before.subarray(0, mib))).toBe(true);
        const onto = await install(partition, { capacityBytes: 16 * mib });
        expect(onto).toMatch(/^disk_mismatch: \/dev\/loop\d+p1 is (?:in use|no whole disk)/);
      },
    );

    test.runIf(hasProgram("addpart"))("a partition is no disk", async () => {
      const device = await createLoopDevice(sizeBytes);
      runProgram("addpart", device.path, "1", "2048", "32768");
      onTestFinished(() => runProgram("delpart", device.path, "1"));
      const error = await install(`${device.path}p1`, { capacityBytes: 16 * mib });
      expect(error).toBe(`disk_mismatch: ${device.path}p1 is not a whole disk`);
      await expectUntouched(device);
    });

    test("one that is used for swapping is refused", async ({ skip }) => {
      const device = await createLoopDevice(sizeBytes);
      runProgram("mkswap", device.path);
      if (spawnSync("swapon", [device.path]).status !== 0) skip("this kernel does not swap to loop devices");
      onTestFinished(() => runProgram("swapoff", device.path));
      expect(await install(device.path)).toMatch(/^disk_mismatch: \/dev\/loop\d+ is in use/);
      expect(await find(device.path)).toMatch(/is in use: loop\d+ is swapped to$/);
    });

    test("one that another program has for itself is refused, as LVM and software RAID have their disks", async () => {
      const device = await createLoopDevice(sizeBytes);
      await using _holder = await open(device.path, constants.O_RDWR | constants.O_EXCL);
      expect(await install(device.path)).toMatch(/^disk_mismatch: \/dev\/loop\d+ is in use: .*LVM, software RAID or/);
      await expectUntouched(device);
    });

    test("one that the device mapper holds is refused (skipped without it)", async ({ skip }) => {
      const device = await createLoopDevice(sizeBytes);
      const name = `bmaas-test-${process.pid}`;
      const table = `0 ${sizeBytes / 512} linear ${device.path} 0`;
      const made = spawnSync("dmsetup", ["create", name, "--uuid", `LVM-${name}`, "--table", table]);
      if (made.status !== 0) skip("no device mapper here");
      onTestFinished(() => runProgram("dmsetup", "remove", name));
      expect(await install(device.path)).toMatch(/^disk_mismatch: \/dev\/loop\d+ is in use/);
      expect(await find(device.path)).toMatch(/is in use: loop\d+ is held by dm-\d+ \(LVM /);
      await expectUntouched(device);
    });

    test("one that is held by a software RAID is refused (skipped without it)", async ({ skip }) => {
      const device = await createLoopDevice(sizeBytes);
      const args = [
        "--build",
        `/dev/md/bmaas-${process.pid}`,
        "--level=linear",
        "--force",
        "--raid-devices=1",
        device.path,
      ];
      if (spawnSync("mdadm", args).status !== 0) skip("no software RAID here");
      onTestFinished(() => runProgram("mdadm", "--stop", `/dev/md/bmaas-${process.pid}`));
      expect(await install(device.path)).toMatch(/^disk_mismatch: \/dev\/loop\d+ is in use/);
      expect(await find(device.path)).toMatch(/is in use: loop\d+ is held by md\d+ \(linear\)/);
      await expectUntouched(device);
    });

    test("a read-only one is refused", async () => {
      const device = await createLoopDevice(sizeBytes, { isReadOnly: true });
      expect(await install(device.path)).toMatch(/^disk_mismatch: \/dev\/loop\d+ is read-only$/);
      await expectUntouched(device);
    });

    test("one that fails in the middle of writing is named with the position, and nothing boots from it", async () => {
      const folder = join(await temporaryFolder(), "small");
      await mkdir(folder);
      runProgram("mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", folder);
      onTestFinished(() => runProgram("umount", folder));
      // Its file has room for the first MiB, the last one and some more.
      const device = await createLoopDevice(sizeBytes, { folder, isSparse: true });
      const error = await install(device.path);
      expect(error).toMatch(/^cannot (?:write|sync) \/dev\/loop\d+(?: at byte \d+)?: (?:EIO|ENOSPC): /);
      expect(error).toMatch(/; nothing boots from \/dev\/loop\d+: its first and last MiB are wiped$/);
      expect(findBootable(await readFile(device.file))).toEqual([]);
    });

    test.runIf(hasProgram("blkid"))("blkid finds the volume for cloud-init on it (skipped without it)", async () => {
      const device = await createLoopDevice(sizeBytes);
      expect(await install(device.path)).toBeUndefined();
      const { stdout } = spawnSync("blkid", ["--probe", "--offset", `${15 * mib}`, "--output", "export", device.path]);
      expect(stdout.toString()).toMatch(/^LABEL=CIDATA$/m);
    });
  },
);
