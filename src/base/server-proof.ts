/**
 * How a server proves that it is the one of a home, before a command of the same machine sends it a token.
 *
 * A port of loopback belongs to whoever took it first: once the server has stopped, that may be anybody on the machine.
 * A key that lies in the home, where its owner alone can read it, tells them apart. The proof names the address at
 * which the server was reached, so that nobody can fetch it from the real server, which listens elsewhere, and hand it
 * on.
 */
import { createHmac, randomBytes } from "node:crypto";
import { join } from "node:path";
import { createFileOnce, findFile } from "./atomic-file.ts";
import { isSystemError } from "./system-error.ts";

/** Where a server serves its proof; the nonce of whoever asks follows. */
export const proofPath = "/server-proof/";

/** The end of a connection at which the server is. */
export interface ServerEnd {
  /** An IP address; one of IPv4 may be written as one of IPv6. */
  readonly address: string | undefined;
  readonly port: number | undefined;
}

const hex = /^[0-9a-f]{64}$/;

/** A nonce for a question, 64 hexadecimal digits that nobody can guess. */
export function createNonce(): string {
  return randomBytes(32).toString("hex");
}

/** Whether a text has the form of a nonce. */
export function isNonce(text: string): boolean {
  return hex.test(text);
}

/** The answer to a nonce: 64 hexadecimal digits, of which nobody learns the key. */
export function proveServer(key: string, nonce: string, { address = "", port = 0 }: ServerEnd): string {
  const end = `${address.replace(/^::ffff:/, "")} ${port}`;
  return createHmac("sha256", key).update(`bmaas server ${end} ${nonce}`).digest("hex");
}

/** Holds the key, for its owner alone. */
export function serverKeyFile(home: string): string {
  return join(home, "server.key");
}

/** The key of a home, which is made if need be; undefined when there is no home. Throws other system errors. */
export async function keepServerKey(home: string): Promise<string | undefined> {
  try {
    return (await createFileOnce(serverKeyFile(home), `${randomBytes(32).toString("hex")}\n`, 0o600)).trim();
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** The key of a home; undefined when no server has made one. Throws system errors. */
export async function findServerKey(home: string): Promise<string | undefined> {
  const key = (await findFile(serverKeyFile(home)))?.trim() ?? "";
  return hex.test(key) ? key : undefined;
}
