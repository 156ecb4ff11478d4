/**
 * Writes files that other processes read and write concurrently, and that a power cut must not leave half written. What
 * is written is on disk when a function resolves, including its name in the folder.
 */
import { randomUUID } from "node:crypto";
import { link, open, readFile, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { isSystemError } from "./system-error.ts";

/** Replaces the content of `file`, or creates it. Readers see the old content or the new one, never a part. */
export async function replaceFile(file: string, content: string, mode: number): Promise<void> {
  await withTemporaryFile(file, content, mode, (temporary) => rename(temporary, file));
}

/** Creates `file`. Of several processes that do this at once one succeeds, and the others fail with EEXIST. */
export async function createFile(file: string, content: string, mode: number): Promise<void> {
  await withTemporaryFile(file, content, mode, (temporary) => publish(temporary, file));
}

/**
 * Creates `file` unless it exists, and returns its content. Of several processes that do this at once one wins, and all
 * get its content.
 */
export async function createFileOnce(file: string, content: string, mode: number): Promise<string> {
  try {
    await createFile(file, content, mode);
  } catch (error) {
    if (!isSystemError(error, "EEXIST")) throw error;
  }
  return await readFile(file, "utf8");
}

/**
 * Flushes `folder`, so that the names in it survive a power cut. Windows cannot open folders, and some file systems
 * cannot flush them; there, nothing more can be done.
 */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  await using handle = await open(folder, "r");
  try {
    await handle.sync();
  } catch (error) {
    if (!isSystemError(error, "EINVAL", "EBADF")) throw error;
  }
}

/** Returns the content of `file`, or undefined if there is no such file. */
export async function findFile(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Gives `temporary` the name `file`, which must not exist. */
async function publish(temporary: string, file: string): Promise<void> {
  try {
    await link(temporary, file);
  } catch (error) {
    // FAT and some network file systems have no links.
    if (!isSystemError(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS")) throw error;
    await (await open(file, "wx", 0o600)).close();
    await rename(temporary, file);
  }
}

async function withTemporaryFile(
  file: string,
  content: string,
  mode: number,
  use: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  const handle = await open(temporary, "wx", mode);
  try {
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await use(temporary);
  } finally {
    // After a rename it no longer exists.
    await unlink(temporary).catch(() => {});
  }
  await syncFolder(dirname(file));
}
