/**
 * Copies PostgreSQL's programs to where the account that runs them for root can read them. Root's own folders often
 * admit no other user.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { syncFolder } from "../../base/atomic-file.ts";
import { isSystemError } from "../../base/system-error.ts";
import { type Binaries, relocateBinaries } from "./binaries.ts";
import { removeLeftovers, temporaryName } from "./temporary-folder.ts";

/**
 * Copies the programs to `folder` unless they are there, and returns them. The copy is complete or absent, however many
 * processes copy and die at once.
 */
export async function installBinaries(binaries: Binaries, folder: string): Promise<Binaries> {
  const installed = relocateBinaries(binaries, join(folder, "native"));
  if (existsSync(folder)) return installed;
  await removeLeftovers(folder);
  const temporary = temporaryName(folder, randomUUID());
  try {
    await mkdir(temporary, { mode: 0o755 });
    await cp(binaries.folder, join(temporary, "native"), { recursive: true, verbatimSymlinks: true });
    await publish(temporary);
    await rename(temporary, folder);
  } catch (error) {
    // Another process was first with the same copy.
    if (!isSystemError(error, "ENOTEMPTY", "EEXIST")) throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return installed;
}

/**
 * Makes everything readable to all users and flushes it to disk, so that a crash after the rename leaves no empty
 * programs.
 */
async function publish(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  const publishing = (await readdir(folder, { withFileTypes: true })).map(async (entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return publish(path);
    if (!entry.isFile()) return;
    const file = await open(path, "r");
    try {
      await file.chmod(basename(folder) === "bin" ? 0o755 : 0o644);
      await file.sync();
    } finally {
      await file.close();
    }
  });
  await Promise.all(publishing);
  await syncFolder(folder);
}
