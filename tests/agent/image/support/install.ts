/** Installs images onto files that stand for disks. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type InstallImageOptions, installImage } from "../../../../src/agent/image/install-image.ts";
import type { Seed } from "../../../../src/agent/image/plan-layout.ts";
import { openTarget, type Target } from "../../../../src/agent/image/target.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { type Fault, serveImage } from "./image-server.ts";
import { digestOf } from "./test-image.ts";

export const mib = 1024 * 1024;

/** Returns what is on a disk before an installation: something that boots. */
export function createOldContent(sizeBytes: number): Buffer {
  const old = Buffer.alloc(sizeBytes, 0xa5);
  old.writeUInt16LE(0xaa55, 510);
  return old;
}

/** Makes a file that looks like a disk with an operating system on it. Returns its path. */
export async function createDisk(sizeBytes: number): Promise<string> {
  const path = join(await temporaryFolder(), "disk");
  await writeFile(path, createOldContent(sizeBytes));
  return path;
}

/** Options of `install`. */
export interface InstallOptions extends Partial<InstallImageOptions> {
  readonly fault?: Fault;
  /** Default: that of what is served. */
  readonly digest?: string;
  readonly seed?: Seed;
  /** Puts something between the installer and the disk. */
  readonly wrap?: (target: Target) => Target;
}

/** Serves `fetched` and installs it onto the disk. Resolves to undefined, or to the error. */
export async function install(
  disk: string,
  fetched: Buffer,
  options: InstallOptions = {},
): Promise<string | undefined> {
  const { fault, digest = digestOf(fetched), seed, wrap = (target: Target) => target, ...rest } = options;
  const { url } = await serveImage(fetched, { ...(fault && { fault }) });
  const target = await openTarget(disk);
  try {
    await installImage({ url, digest, seed }, wrap(target), {
      signal: new AbortController().signal,
      verifiesAll: false,
      onProgress: () => {},
      maxBackoffMs: 1,
      maxFailures: 2,
      ...rest,
    });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await target.close();
  }
}

/** Returns why firmware might boot from the disk: a boot sector, or either copy of a GPT; empty if nothing does. */
export function findBootable(disk: Buffer): string[] {
  const found: string[] = [];
  if (disk.readUInt16LE(510) === 0xaa55) found.push("boot sector");
  for (const sectorBytes of [512, 4096]) {
    if (disk.toString("latin1", sectorBytes, sectorBytes + 8) === "EFI PART") found.push("GPT");
    const lastAt = disk.length - sectorBytes;
    if (disk.toString("latin1", lastAt, lastAt + 8) === "EFI PART") found.push("second GPT");
  }
  return found;
}

/** Returns the content of the disk. */
export async function readDisk(path: string): Promise<Buffer> {
  return await readFile(path);
}
