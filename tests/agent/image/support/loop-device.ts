/** Real block devices, made of files; no test touches any other. */
import { execFileSync, spawnSync } from "node:child_process";
import { truncateSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { createOldContent } from "./install.ts";

/** Why there are no loop devices here; undefined if there are. */
export const whyNoLoopDevices = findReason();

function findReason(): string | undefined {
  if (process.platform !== "linux") return "only on Linux";
  if (process.getuid?.() !== 0) return "needs root";
  const found = spawnSync("losetup", ["--find"], { encoding: "utf8" });
  return found.status === 0 ? undefined : `no loop device: ${found.stderr ?? "losetup is not installed"}`;
}

/** A loop device. */
export interface LoopDevice {
  /** Such as /dev/loop3. */
  readonly path: string;
  /** The file that it is made of. */
  readonly file: string;
}

/** Options of `createLoopDevice`. */
export interface LoopOptions {
  readonly sectorBytes?: number;
  readonly isReadOnly?: boolean;
  /** Where the file is. Default: a folder of its own. */
  readonly folder?: string;
  /** Whether the file has no blocks yet, and zeros are read from it. */
  readonly isSparse?: boolean;
}

/** Makes a loop device that looks like a disk with an operating system, until the test is over. */
export async function createLoopDevice(sizeBytes: number, options: LoopOptions = {}): Promise<LoopDevice> {
  const { sectorBytes = 512, isReadOnly = false, isSparse = false } = options;
  const file = join(options.folder ?? (await temporaryFolder()), "disk");
  await writeFile(file, isSparse ? "" : createOldContent(sizeBytes));
  if (isSparse) truncateSync(file, sizeBytes);
  const mode = ["--partscan", `--sector-size=${sectorBytes}`, ...(isReadOnly ? ["--read-only"] : [])];
  const path = execFileSync("losetup", [...mode, "--find", "--show", file], { encoding: "utf8" }).trim();
  if (!/^\/dev\/loop\d+$/.test(path)) throw new Error(`${path} is no loop device`);
  onTestFinished(() => void execFileSync("losetup", ["--detach", path]));
  return { path, file };
}

/** Runs a program, which must succeed. */
export function runProgram(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: "pipe" });
}

/** Returns whether the program is installed. */
export function hasProgram(program: string): boolean {
  return spawnSync(program, ["--version"]).error === undefined;
}

/** Returns the numbers of the partitions that the kernel knows of. */
export async function listPartitions({ path }: LoopDevice): Promise<number[]> {
  const rows = (await readFile("/proc/partitions", "utf8"))
    .split("\n")
    .map((row) => row.trim().split(/\s+/).at(-1) ?? "");
  const prefix = `${basename(path)}p`;
  const numbers = rows.filter((name) => name.startsWith(prefix)).map((name) => Number(name.slice(prefix.length)));
  return numbers.sort((a, b) => a - b);
}
