/** Reads postmaster.pid, in which PostgreSQL records which process runs on a data folder and its status. */
import { execFile } from "node:child_process";
import { link, readFile, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { isSystemError } from "../../base/system-error.ts";

const run = promisify(execFile);

/** A PostgreSQL that runs on a data folder. */
export interface RunningPostmaster {
  readonly pid: number;
  readonly port: number;
  /**
   * When PostgreSQL last recorded its status. For one that is ready, this is when it became ready, however long its
   * recovery took.
   */
  readonly changedAtMs: number;
  /** Whether it accepts connections. */
  readonly ready: boolean;
}

/**
 * How long a process may take to write the file after it created it, in milliseconds. It does so at once unless it is
 * killed.
 */
const writingTimeMs = 5_000;

/**
 * Returns the contents of the data folder's postmaster.pid, which may be stale. Returns undefined when there is none or
 * it is still being written.
 */
export async function readPostmasterFile(dataFolder: string): Promise<RunningPostmaster | undefined> {
  const file = await findFileState(dataFolder);
  if (file === undefined) return undefined;
  // Pid, data folder, start in seconds since the epoch, port, socket folder, address, shared memory, status.
  const [pid, , , port, , , , status] = file.content.split("\n").map((line) => line.trim());
  if (!Number(pid) || !Number(port)) return undefined;
  return {
    pid: Number(pid),
    port: Number(port),
    changedAtMs: file.changedAtMs,
    ready: status === "ready",
  };
}

/**
 * Returns the PostgreSQL that runs on the data folder, or undefined when none does, even if a crashed one left its file
 * behind.
 */
export async function findPostmaster(dataFolder: string): Promise<RunningPostmaster | undefined> {
  const postmaster = await readPostmasterFile(dataFolder);
  if (postmaster === undefined) return undefined;
  return (await runsOn(postmaster.pid, dataFolder)) ? postmaster : undefined;
}

/**
 * Removes a postmaster.pid whose process is not PostgreSQL, or that names none. After a crash of the machine or a
 * container, that process id may belong to another program of the same user, and PostgreSQL would then refuse to start.
 */
export async function removeStalePostmasterFile(dataFolder: string): Promise<void> {
  const file = await findFileState(dataFolder);
  if (file === undefined || !(await isStale(file, dataFolder))) return;
  const path = pathOf(dataFolder);
  const aside = `${path}.${process.pid}`;
  try {
    await rename(path, aside);
    // Another process may have started PostgreSQL in between. Its file is put back.
    if ((await stat(aside)).mtimeMs !== file.changedAtMs) await link(aside, path);
    await unlink(aside);
  } catch (error) {
    if (!isSystemError(error, "ENOENT", "EEXIST")) throw error;
  }
}

interface FileState {
  readonly content: string;
  readonly changedAtMs: number;
}

async function findFileState(dataFolder: string): Promise<FileState | undefined> {
  const path = pathOf(dataFolder);
  try {
    const { mtimeMs } = await stat(path);
    return { content: await readFile(path, "utf8"), changedAtMs: mtimeMs };
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function isStale({ content, changedAtMs }: FileState, dataFolder: string): Promise<boolean> {
  const pid = Number.parseInt(content, 10);
  return Number.isNaN(pid) ? Date.now() - changedAtMs > writingTimeMs : !(await runsOn(pid, dataFolder));
}

/**
 * Returns whether process `pid` is PostgreSQL on this data folder, judged by its arguments, since process ids are
 * reused. Windows does not show arguments, so there any process with this id counts.
 */
async function runsOn(pid: number, dataFolder: string): Promise<boolean> {
  try {
    if (process.platform === "linux") {
      const args = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
      return args[args.indexOf("-D") + 1] === dataFolder;
    }
    if (process.platform === "win32") return process.kill(pid, 0);
    const { stdout } = await run("ps", ["-ww", "-o", "command=", "-p", String(pid)]);
    return stdout.includes(` -D ${dataFolder} `);
  } catch {
    return false;
  }
}

function pathOf(dataFolder: string): string {
  return join(dataFolder, "postmaster.pid");
}
