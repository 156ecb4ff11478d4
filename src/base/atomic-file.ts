/** Files that other processes read and write at the same time, and that a crash must not leave half written. */
import { randomUUID } from "node:crypto";
import { link, open, readFile, rename, unlink } from "node:fs/promises";
import { isSystemError } from "./system-error.ts";

/** Puts `content` in place of whatever `file` holds; readers see the old content or the new one, never a part. */
export async function replaceFile(file: string, content: string, mode: number): Promise<void> {
  await withTemporaryFile(file, content, mode, (temporary) => rename(temporary, file));
}

/** Creates `file` unless it exists, and returns what it holds then: of several processes at once one wins, and all get its content. */
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

/** The content of `file`, or undefined when there is no such file. */
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
    // Gone already when it was renamed.
    await unlink(temporary).catch(() => {});
  }
}
