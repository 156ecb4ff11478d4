/**
 * `npm run netboot -- --out DIR` makes a kernel and an initramfs that run the agent on a machine that boots from the
 * network. docs/netboot.md explains how to serve them. The same packages, clone and Node give the same bytes.
 */
import { createHash } from "node:crypto";
import { copyFileSync, createReadStream, createWriteStream, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { constants, createZstdCompress } from "node:zlib";
import { abortOnInterruption, checkInterruption, InterruptedError } from "../interruption.ts";
import { readScriptOptions, text } from "../script-options.ts";
import { type ArchiveEntry, writeArchive } from "./cpio.ts";
import { getKernel, PackageError, unpackPackages } from "./debian-packages.ts";
import { listImage } from "./image-contents.ts";
import { findMissingTools } from "./missing-tools.ts";

/** Programs that the build runs, and Debian's packages that have them. */
export const buildTools = { "apt-get": "apt", "dpkg-deb": "dpkg", depmod: "kmod", tar: "tar" };

/** Options of `buildNetboot`. */
export interface NetbootOptions {
  /** Folder that gets vmlinuz and initramfs.zst. */
  readonly out: string;
  /** Folder with Debian's packages; those that it lacks are downloaded into it. */
  readonly packages: string;
  /** Names of Debian's packages with firmware. Default: none. */
  readonly firmware?: readonly string[];
  /** Time of every file in the image, in seconds since the epoch. Default: 0. */
  readonly modifiedAt?: number;
  /** Stops the build when it aborts. */
  readonly interruption?: AbortSignal;
}

/** A kernel and its initramfs. */
export interface NetbootFiles {
  readonly kernel: string;
  readonly initramfs: string;
  /** File names of the packages that they were made of. */
  readonly packages: readonly string[];
}

/**
 * Builds the kernel and the initramfs, and leaves no temporary file. Throws PackageError if a package of Debian's
 * cannot be had, and the reason of the interruption.
 */
export async function buildNetboot(options: NetbootOptions): Promise<NetbootFiles> {
  const { packages, firmware = [], modifiedAt = 0, interruption } = options;
  const out = resolve(options.out);
  mkdirSync(out, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), "bmaas-netboot-"));
  try {
    const tree = unpackPackages(resolve(packages), join(folder, "debian"), firmware);
    await checkInterruption(interruption);
    const entries = await listImage(tree, join(folder, "bmaas"));
    const files = { kernel: join(out, "vmlinuz"), initramfs: join(out, "initramfs.zst"), packages: tree.files };
    copyFileSync(getKernel(tree).kernel, files.kernel);
    await packArchive(entries, { file: files.initramfs, modifiedAt, interruption });
    return files;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Options of `packArchive`. */
export interface PackOptions {
  readonly file: string;
  /** Time of every entry, in seconds since the epoch. */
  readonly modifiedAt: number;
  readonly interruption?: AbortSignal | undefined;
}

/** Writes the entries as an initramfs. The same entries give the same bytes. */
export async function packArchive(
  entries: readonly ArchiveEntry[],
  { file, modifiedAt, interruption }: PackOptions,
): Promise<void> {
  await checkInterruption(interruption);
  // The kernel unpacks zstd with windows of up to 8 MiB only as far as level 19.
  const pack = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 12 } });
  const archive = Readable.from(writeArchive(entries, modifiedAt));
  await pipeline(archive, pack, createWriteStream(file), interruption === undefined ? {} : { signal: interruption });
}

async function digestFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

const help = `npm run netboot -- --out DIR [options]

  --out DIR          folder that gets vmlinuz and initramfs.zst
  --packages DIR     folder with Debian's packages; those that it lacks are downloaded into it (DIR/packages)
  --firmware NAME    a package of Debian's with firmware; may be given again

SOURCE_DATE_EPOCH sets the time of every file in the image, in seconds since the epoch (0).
docs/netboot.md explains how to serve the files.
`;

async function run(interruption: AbortSignal): Promise<void> {
  const values = readScriptOptions(help, {
    out: text,
    packages: text,
    firmware: { ...text, multiple: true, default: [] },
  });
  if (values.out === undefined)
    throw new UsageError("--out DIR is missing: the folder for the kernel and the initramfs");
  const missing = findMissingTools(buildTools);
  if (missing !== undefined) throw new UsageError(`netboot is built on Debian with ${missing}`);
  if (process.arch !== "x64") throw new UsageError("netboot builds for x86-64 only, and on x86-64 only");
  const epoch = process.env.SOURCE_DATE_EPOCH;
  if (epoch !== undefined && !/^\d{1,10}$/.test(epoch))
    throw new UsageError("SOURCE_DATE_EPOCH is not a number of seconds");
  const { kernel, initramfs, packages } = await buildNetboot({
    out: values.out,
    packages: values.packages ?? join(values.out, "packages"),
    firmware: values.firmware,
    modifiedAt: Number(epoch ?? 0),
    interruption,
  });
  process.stdout.write(`made of ${packages.join(" ")}\n`);
  for (const file of [kernel, initramfs]) {
    const size = (statSync(file).size / 1e6).toFixed(1);
    process.stdout.write(`${file}  ${size} MB  sha256:${await digestFile(file)}\n`);
  }
}

/** The build cannot begin. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const interruption = abortOnInterruption();
  await run(interruption).catch(async (error: Error) => {
    // The program that was waited for may have failed because of the same signal.
    await checkInterruption(undefined);
    const reason = interruption.aborted ? (interruption.reason as InterruptedError) : error;
    const isExpected = [UsageError, PackageError, InterruptedError].some((type) => reason instanceof type);
    process.stderr.write(`netboot: ${isExpected || "code" in reason ? reason.message : reason.stack}\n`);
    process.exitCode = reason instanceof InterruptedError ? reason.exitStatus : 2;
  });
}
