/** Reads files with secrets, and finds those that other users can reach. */
import { open } from "node:fs/promises";

/** A text that is to be kept secret. */
export interface SecretText {
  readonly text: string;
  /** One sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Reads a file, and warns if all users of this machine can reach it. `what` names the secret, such as "a private key".
 * Throws Node's errors.
 */
export async function readSecretFile(file: string, what: string): Promise<SecretText> {
  await using handle = await open(file);
  const { mode } = await handle.stat();
  return { text: await handle.readFile("utf8"), warnings: findExposure({ file, mode, what, allowsGroup: true }) };
}

/** Returns a warning if users reach a file with a secret who should not. `mode` is that of the file. */
export function findExposure({
  file,
  mode,
  what,
  allowsGroup,
}: {
  readonly file: string;
  readonly mode: number;
  readonly what: string;
  /** Whether the file's group may reach it. */
  readonly allowsGroup: boolean;
}): string[] {
  if (process.platform === "win32" || (mode & (allowsGroup ? 0o007 : 0o077)) === 0) return [];
  const remedy = allowsGroup ? `chmod o= ${file}` : `chmod 600 ${file}`;
  return [`${file} holds ${what} that other users can reach: run ${remedy}`];
}
