/** Writes files that other processes read and write concurrently, and that a crash must not leave half written. */
import { randomUUID } from "node:crypto";
import { link, open, readFile, rename, unlink } from "node:fs/promises";
import { isSystemError } from "./system-error.ts";

/** Replaces the content of `file`, or creates it. Readers see the old content or the new one, never a part. */
export async function replaceFile(file: string, content: string, mode: number): Promise<void> {
  await withTemporaryFile(file, content, mode, (temporary) => rename(temporary, file));
}

/**
 * Creates `file` unless it exists, and returns its content. Of several processes that do this at once one wins, and all
 * get its content.
 */
export async function createFileOnce(file: string, content: string, mode: number): Promise<string> {
  await withTemporaryFile(file, content, mode, async (temporary) => {
    try {
      await link(temporary, file);
    } catch (error) {
      if (!isSystemError(error, "EEXIST")) throw error;
    }
  });
  return await readFile(file, "utf8");
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
}
