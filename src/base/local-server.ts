/** Files that a server leaves in its home, by which commands on the same machine find it. */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { findFile, replaceFile } from "./atomic-file.ts";
import { isSystemError } from "./system-error.ts";

/** Returns the path of the file with an administrator's token, which only its owner can read. */
export function adminTokenFile(home: string): string {
  return join(home, "admin.token");
}

/**
 * Returns the URL at which the server of this home listens for operators, or did before it crashed. Returns undefined
 * if there is none.
 */
export async function findLocalAdminUrl(home: string): Promise<string | undefined> {
  const text = (await findFile(adminUrlFile(home)))?.trim() ?? "";
  return /^https?:/.test(text) && URL.canParse(text) ? text : undefined;
}

/**
 * Records the URL at which a server listens for operators. Does not create a home that does not exist. Throws other
 * system errors.
 */
export async function leaveLocalAdminUrl(home: string, url: string): Promise<void> {
  try {
    await replaceFile(adminUrlFile(home), `${url}\n`, 0o644);
  } catch (error) {
    if (!isSystemError(error, "ENOENT")) throw error;
  }
}

/** Removes the record of `leaveLocalAdminUrl`, unless another server has replaced it. Throws system errors. */
export async function removeLocalAdminUrl(home: string, url: string): Promise<void> {
  if ((await findLocalAdminUrl(home)) === url) await unlink(adminUrlFile(home));
}

function adminUrlFile(home: string): string {
  return join(home, "admin.url");
}
