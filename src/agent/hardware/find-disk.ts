/**
 * Finds the disk that an installation request expects, and makes sure that it may be overwritten. Kernel names decide
 * nothing here: "sda" may be another disk since the request was made.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { ExpectedDisk } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { describeIdentity, findDifference, findIdentity, toDiskId, toHex } from "../../contract/disk-identity.ts";
import { groupPaths } from "./disk-paths.ts";
import { findDiskUse, readDevicesInUse } from "./disk-use.ts";
import { findStableNames, type LinkedNames, readLinkedNames } from "./stable-names.ts";
import { findCount, findText, type SystemFiles } from "./sysfs.ts";
import { readSysfsDisks, type SysfsDisk } from "./sysfs-disks.ts";

/** The disk that was found. */
export interface FoundDisk {
  /** Path of its device, for example "/dev/sda". */
  readonly path: string;
  /** Its kernel name at present. */
  readonly name: string;
  readonly capacityBytes: bigint;
}

/** The expected disk is not there, is in use, or is another one. Nothing was written. */
export class DiskMismatchError extends Error {
  override readonly name = "DiskMismatchError";
  constructor(reason: string) {
    super(`disk_mismatch: ${reason}`);
  }
}

/** Options of a `FindDisk`. */
export interface FindDiskOptions {
  /**
   * Number, such as "8:0", of the device that the caller has opened exclusively. It must be the disk. As long as it is
   * open, Linux gives its number to no other disk.
   */
  readonly heldDevice?: string | undefined;
}

/** Options of `findExpectedDisk`. */
export interface FindExpectedDiskOptions extends FindDiskOptions {
  /** Default: /sys, /proc and /dev. */
  readonly files?: SystemFiles | undefined;
  /** Makes sure that a device is the one with this number, such as "8:0", and that nothing has it. Throws if not. */
  readonly checkDevice?: ((path: string, number: string) => Promise<void>) | undefined;
}

/** Finds the disk that a request expects. Throws DiskMismatchError. */
export type FindDisk = (expected: ExpectedDisk, options?: FindDiskOptions) => Promise<FoundDisk>;

/** Maximum number of disks that an error lists. */
const maxListed = 16;

/**
 * Returns the disk that agrees with everything that `expected` states. Throws DiskMismatchError, which lists the disks
 * that are there, unless exactly one does, its device node leads to it, and neither it nor a part of it is mounted,
 * swapped to, held by LVM, md or another device, opened exclusively by another program, or read-only.
 */
export async function findExpectedDisk(
  expected: ExpectedDisk,
  options: FindExpectedDiskOptions = {},
): Promise<FoundDisk> {
  const { files = { sys: "/sys", proc: "/proc", dev: "/dev" }, checkDevice = checkBlockDevice, heldDevice } = options;
  const [disks, linked] = await Promise.all([readSysfsDisks(files.sys), readLinkedNames(files.dev)]).catch(
    (error: Error) => {
      throw new DiskMismatchError(`this machine's disks cannot be listed: ${error.message}`);
    },
  );
  const known = await Promise.all(groupPaths(disks).map((paths) => identify(paths, linked)));
  const { paths, disk } = chooseDisk(expected, known);
  const names = paths.map((path) => path.name);
  const [use, number = "", isReadOnly] = await Promise.all([
    findDiskUse(files.sys, names, await readDevicesInUse(files)),
    findText(files.sys, "block", disk.name, "dev"),
    findCount(files.sys, "block", disk.name, "ro"),
  ]);
  if (use.length > 0) throw new DiskMismatchError(`${disk.name} is in use: ${use.join("; ")}`);
  if (isReadOnly === 1) throw new DiskMismatchError(`${disk.name} is read-only`);
  const path = join(files.dev ?? "/dev", disk.name.replaceAll("!", "/"));
  if (heldDevice === undefined) {
    await checkDevice(path, number).catch((error: Error) => {
      throw error instanceof DiskMismatchError ? error : new DiskMismatchError(`${path}: ${error.message}`);
    });
  } else checkDeviceNumber(path, heldDevice, number);
  return { path, name: disk.name, capacityBytes: disk.capacityBytes };
}

interface KnownDisk {
  readonly disk: SysfsDisk;
  readonly paths: readonly SysfsDisk[];
  readonly identity: ExpectedDisk | undefined;
}

async function identify(paths: readonly SysfsDisk[], linked: LinkedNames): Promise<KnownDisk> {
  const [disk] = paths as readonly [SysfsDisk];
  const { wwn, serial: serialNumber, capacityBytes, model: deviceModel } = disk;
  const stableName = await findStableNames(paths, linked);
  return { disk, paths, identity: findIdentity({ wwn, serialNumber, capacityBytes, deviceModel, stableName }) };
}

function chooseDisk(expected: ExpectedDisk, known: readonly KnownDisk[]): KnownDisk {
  const wanted = describeIdentity(expected);
  const id = toDiskId(expected);
  const same = known.filter(({ identity }) => identity !== undefined && toDiskId(identity) === id);
  const [only] = same;
  if (only?.identity === undefined || same.length > 1) {
    const near = known.find(({ identity }) => identity !== undefined && isNear(expected, identity));
    const difference = near?.identity && findDifference(expected, near.identity);
    const reason =
      same.length > 1
        ? `${same.map(({ disk }) => disk.name).join(" and ")} cannot be told apart`
        : difference === undefined
          ? "it is not on this machine"
          : `${near?.disk.name} has another ${difference}`;
    throw new DiskMismatchError(`the request expects the disk with ${wanted}: ${reason}; ${listDisks(known)}`);
  }
  const difference = findDifference(expected, only.identity);
  if (difference === undefined) return only;
  throw new DiskMismatchError(
    `the request expects the disk with ${wanted}: ${only.disk.name} has another ${difference}; ${listDisks(known)}`,
  );
}

/** Returns whether a disk has the name that identifies the expected one, although it may differ otherwise. */
function isNear(expected: ExpectedDisk, { wwn, serialNumber, byPath }: ExpectedDisk): boolean {
  if (expected.wwn.length > 0) return toHex(expected.wwn) === toHex(wwn);
  return expected.serialNumber === "" ? expected.byPath === byPath : expected.serialNumber === serialNumber;
}

function listDisks(known: readonly KnownDisk[]): string {
  if (known.length === 0) return "found no disk";
  const listed = known.slice(0, maxListed).map(({ disk, identity }) => {
    const facts = identity === undefined ? "nothing that identifies it" : describeIdentity(identity);
    return `${disk.name} (${facts})`;
  });
  const more = known.length - listed.length;
  return `found ${listed.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/**
 * Throws unless `path` is the block device with this number, and nothing has opened it exclusively, as file systems,
 * swap, device mapper, md and ZFS do with what they use.
 */
export async function checkBlockDevice(path: string, number: string): Promise<void> {
  // Linux refuses O_EXCL on a disk that is in use, or of which a partition is (open(2), O_EXCL).
  const device = await open(path, constants.O_RDONLY | constants.O_EXCL).catch((error: NodeJS.ErrnoException) => {
    throw new DiskMismatchError(error.code === "EBUSY" ? `${path} is in use` : `${path}: ${error.message}`);
  });
  try {
    const stats = await device.stat();
    if (!stats.isBlockDevice()) throw new DiskMismatchError(`${path} is not a block device`);
    checkDeviceNumber(path, formatDeviceNumber(BigInt(stats.rdev)), number);
  } finally {
    await device.close();
  }
}

/** Throws DiskMismatchError if the device that was opened at `path` is not the one with the expected number. */
export function checkDeviceNumber(path: string, opened: string, expected: string): void {
  if (opened === expected) return;
  throw new DiskMismatchError(`${path} leads to device ${opened} and not to ${expected}, the expected disk`);
}

/** Returns a device number as in /sys. The bits are those of makedev(3) in the GNU C library, which musl shares. */
export function formatDeviceNumber(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
