/** The disk that an image is written to: a block device, or a regular file that stands for one. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { isSystemError } from "../../base/system-error.ts";
import { findDiskUse, readDevicesInUse } from "../hardware/disk-use.ts";
import { DiskMismatchError, formatDeviceNumber } from "../hardware/find-disk.ts";
import { findCount } from "../hardware/sysfs.ts";

/** Reads and writes an open disk. Errors name the disk and the position. */
export interface Target {
  /** Path of the device, such as /dev/sda. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Number of the device, such as "8:0"; undefined for a regular file. */
  readonly deviceNumber: string | undefined;
  /** Size of a logical sector; undefined for a regular file, on which every size works. */
  readonly sectorBytes: number | undefined;
  /** Multiple of which positions and lengths must be. */
  readonly alignmentBytes: number;
  /** Fills `into` from `position`. */
  read(into: Uint8Array, position: number): Promise<void>;
  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Resolves once everything written is on the disk, and not only in its cache. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Returns zeroed memory that starts at a page, as direct input and output requires. A resizable ArrayBuffer does; the
 * memory of an ordinary Buffer starts anywhere.
 */
export function allocateAligned(bytes: number): Buffer<ArrayBuffer> {
  return Buffer.from(new ArrayBuffer(bytes, { maxByteLength: bytes }));
}

/**
 * Opens a disk for exclusive use. Linux refuses this for a disk of which a part is mounted, used for swapping, or held
 * by LVM, software RAID or another program. Data bypasses the page cache where the device or file system can do that.
 * Throws DiskMismatchError for a disk that is not there, in use or read-only.
 */
export async function openTarget(path: string): Promise<Target> {
  const handle = await openDirect(path);
  try {
    const stat = await handle.file.stat();
    if (stat.isFile()) return new OpenTarget(path, handle, { sizeBytes: stat.size });
    if (!stat.isBlockDevice()) throw new DiskMismatchError(`${path} is not a block device`);
    const deviceNumber = formatDeviceNumber(BigInt(stat.rdev));
    const attributes = `/sys/dev/block/${deviceNumber}`;
    const sectors = await findCount(attributes, "size");
    const sectorBytes = await findCount(attributes, "queue", "logical_block_size");
    // Root may open a read-only disk for writing, and only then fails to write.
    if ((await findCount(attributes, "ro")) === 1) throw new DiskMismatchError(`${path} is read-only`);
    if (sectors === undefined || sectorBytes === undefined) {
      throw new DiskMismatchError(`${path} is not a whole disk`);
    }
    return new OpenTarget(path, handle, { sizeBytes: sectors * 512, sectorBytes, deviceNumber });
  } catch (error) {
    await handle.file.close();
    throw error;
  }
}

interface Handle {
  readonly file: FileHandle;
  readonly isDirect: boolean;
}

/** Opens for direct access, or else through the page cache. */
async function openDirect(path: string): Promise<Handle> {
  const flags = constants.O_RDWR | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    const file = await open(path, flags | (constants.O_DIRECT ?? 0));
    if (await canReadDirectly(file)) return { file, isDirect: true };
    await file.close();
  } catch (error) {
    if (!isSystemError(error, "EINVAL")) throw await explainOpening(path, error);
  }
  try {
    return { file: await open(path, flags), isDirect: false };
  } catch (error) {
    throw await explainOpening(path, error);
  }
}

/**
 * Returns whether memory of ours is aligned well enough, and so is the end of a regular file. A disk with a bad first
 * sector fails in another way, and what is written to it must be read back from the disk all the more.
 */
async function canReadDirectly(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (constants.O_DIRECT === undefined || size % directAlignmentBytes !== 0) return false;
  try {
    await file.read(allocateAligned(directAlignmentBytes), 0, directAlignmentBytes, 0);
    return true;
  } catch (error) {
    return !isSystemError(error, "EINVAL");
  }
}

/** Multiple of which positions and lengths of direct access to a regular file are. */
const directAlignmentBytes = 4096;

async function explainOpening(path: string, error: unknown): Promise<Error> {
  if (isSystemError(error, "EBUSY")) return new DiskMismatchError(`${path} is in use${await describeUse(path)}`);
  if (isSystemError(error, "EROFS", "EACCES", "EPERM")) {
    return new DiskMismatchError(`${path} cannot be written: it is read-only, or this agent lacks the permission`);
  }
  return new DiskMismatchError(`${path} cannot be opened: ${readReason(error)}`);
}

/** Returns what uses the disk, behind a colon, or what else may. */
async function describeUse(path: string): Promise<string> {
  const files = { sys: "/sys", proc: "/proc" };
  const uses = await findDiskUse(files.sys, [basename(path)], await readDevicesInUse(files)).catch(() => []);
  return `: ${uses.join("; ") || "a file system, LVM, software RAID or another program has it"}`;
}

class OpenTarget implements Target {
  readonly path: string;
  readonly sizeBytes: number;
  readonly deviceNumber: string | undefined;
  readonly sectorBytes: number | undefined;
  readonly alignmentBytes: number;
  readonly #file: FileHandle;

  constructor(
    path: string,
    { file, isDirect }: Handle,
    { sizeBytes, sectorBytes, deviceNumber }: { sizeBytes: number; sectorBytes?: number; deviceNumber?: string },
  ) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.deviceNumber = deviceNumber;
    this.sectorBytes = sectorBytes;
    this.alignmentBytes = sectorBytes ?? (isDirect ? directAlignmentBytes : 512);
    this.#file = file;
  }

  async read(into: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await this.#explain("read", position + done, () =>
        this.#file.read(into, done, into.length - done, position + done),
      );
      if (bytesRead === 0) throw new Error(`cannot read ${this.path} at byte ${position + done}: it ends there`);
      done += bytesRead;
    }
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#explain("write", position + done, () =>
        this.#file.write(bytes, done, bytes.length - done, position + done),
      );
      done += bytesWritten;
    }
  }

  async sync(): Promise<void> {
    await this.#explain("sync", undefined, () => this.#file.sync());
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #explain<Result>(what: string, position: number | undefined, act: () => Promise<Result>): Promise<Result> {
    try {
      return await act();
    } catch (error) {
      const where = position === undefined ? "" : ` at byte ${position}`;
      throw new Error(`cannot ${what} ${this.path}${where}: ${readReason(error)}`, { cause: error });
    }
  }
}

/** Returns what the system says without the call and the path, such as "EIO: i/o error". */
function readReason(error: unknown): string {
  return error instanceof Error ? error.message.replace(/, (?:open|read|write|f(?:data)?sync).*$/, "") : String(error);
}
