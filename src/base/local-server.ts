/** What a server leaves under its home for commands on the same machine, so that they find it without being told. */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { findFile, replaceFile } from "./atomic-file.ts";
import { isSystemError } from "./system-error.ts";

/** Holds the token of an administrator, for its owner alone. */
export function adminTokenFile(home: string): string {
  return join(home, "admin.token");
}

/**
 * Where the server on this home listens for operators, or did when it crashed; undefined when there is no word of one.
 */
export async function findLocalAdminUrl(home: string): Promise<string | undefined> {
  const text = (await findFile(adminUrlFile(home)))?.trim() ?? "";
  return /^https?:/.test(text) && URL.canParse(text) ? text : undefined;
}

/**
 * Says where a server listens for operators. A home that does not exist is not made for it; other system errors are
 * thrown.
 */
export async function leaveLocalAdminUrl(home: string, url: string): Promise<void> {
  try {
    await replaceFile(adminUrlFile(home), `${url}\n`, 0o644);
  } catch (error) {
    if (!isSystemError(error, "ENOENT")) throw error;
  }
}

/** Takes back what `leaveLocalAdminUrl` left, unless another server has left word since. Throws system errors. */
export async function removeLocalAdminUrl(home: string, url: string): Promise<void> {
  if ((await findLocalAdminUrl(home)) === url) await unlink(adminUrlFile(home));
}

function adminUrlFile(home: string): string {
  return join(home, "admin.url");
}
