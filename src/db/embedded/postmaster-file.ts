/** Reads postmaster.pid, by which PostgreSQL says who runs on a data folder and how far it is. */
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
  /** When it last said how far it is; for one that is ready, when it became so, however long its recovery took. */
  readonly changedAtMs: number;
  /** Whether it accepts connections. */
  readonly ready: boolean;
}

/** How long a process that makes the file may take to write it, in milliseconds; it does so at once, unless it is killed. */
const writingTimeMs = 5_000;

/** What the data folder's postmaster.pid says, true or not: undefined when there is none or it is still being written. */
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

/** The PostgreSQL that runs on the data folder; undefined when none does, whatever a crashed one left behind. */
export async function findPostmaster(dataFolder: string): Promise<RunningPostmaster | undefined> {
  const postmaster = await readPostmasterFile(dataFolder);
  if (postmaster === undefined) return undefined;
  return (await runsOn(postmaster.pid, dataFolder)) ? postmaster : undefined;
}

/**
 * Removes a postmaster.pid whose process is not PostgreSQL, or that names none. After a crash of the machine or a container that
 * process id may belong to some other program of the same user, and PostgreSQL would refuse to start for its sake.
 */
export async function removeStalePostmasterFile(dataFolder: string): Promise<void> {
  const file = await findFileState(dataFolder);
  if (file === undefined || !(await isStale(file, dataFolder))) return;
  const path = pathOf(dataFolder);
  const aside = `${path}.${process.pid}`;
  try {
    await rename(path, aside);
    // Another process may have started PostgreSQL in between: that file is given back.
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

/** Whether process `pid` is PostgreSQL on this data folder, going by its arguments: process ids are used again. */
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
