/**
 * Folders that are made beside their final place and renamed into it, so that a process killed half way leaves nothing
 * that looks finished.
 */
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isSystemError } from "../../base/system-error.ts";

/** Returns the name under which this process makes `folder`. `unique` distinguishes its attempts. */
export function temporaryName(folder: string, unique: string): string {
  return `${folder}.tmp-${process.pid}-${unique}`;
}

/** Removes what dead processes left of their attempts to make `folder`. */
export async function removeLeftovers(folder: string): Promise<void> {
  const prefix = `${basename(folder)}.tmp-`;
  for (const name of await readdir(dirname(folder))) {
    if (!name.startsWith(prefix) || isAlive(Number.parseInt(name.slice(prefix.length), 10))) continue;
    // A program that outlives its starter may still write there. Then the next start removes the folder.
    await rm(join(dirname(folder), name), { recursive: true, force: true }).catch(() => {});
  }
}

/** Returns whether a process has this id. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !isSystemError(error, "ESRCH");
  }
}
