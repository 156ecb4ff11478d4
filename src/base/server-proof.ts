/**
 * Proves to a command on the same machine that a server is the one of a home, before the command sends it a token.
 *
 * A port on loopback belongs to whichever process took it first, so once the server has stopped, any user of the
 * machine may listen there. A key in the home, which only its owner can read, tells the server from others. The proof
 * includes the address at which the server was reached, so that nobody can fetch it from the real server, which listens
 * elsewhere, and pass it on.
 */
import { createHmac, randomBytes } from "node:crypto";
import { join } from "node:path";
import { createFileOnce, findFile } from "./atomic-file.ts";
import { isSystemError } from "./system-error.ts";

/** Path at which a server serves its proof; the caller's nonce follows it. */
export const proofPath = "/server-proof/";

/** The server's end of a connection. */
export interface ServerEnd {
  /** IP address. One of IPv4 may be written as an IPv4-mapped one of IPv6. */
  readonly address: string | undefined;
  readonly port: number | undefined;
}

const hex = /^[0-9a-f]{64}$/;

/** Creates a nonce: 64 hexadecimal digits that nobody can guess. */
export function createNonce(): string {
  return randomBytes(32).toString("hex");
}

/** Returns whether a text has the form of a nonce. */
export function isNonce(text: string): boolean {
  return hex.test(text);
}

/** Returns the proof for a nonce: 64 hexadecimal digits that do not reveal the key. */
export function proveServer(key: string, nonce: string, { address = "", port = 0 }: ServerEnd): string {
  const end = `${address.replace(/^::ffff:/, "")} ${port}`;
  return createHmac("sha256", key).update(`bmaas server ${end} ${nonce}`).digest("hex");
}

/** Returns the path of the file with the key, which only its owner can read. */
export function serverKeyFile(home: string): string {
  return join(home, "server.key");
}

/**
 * Returns the key of a home, and creates it if there is none. Returns undefined if the home does not exist. Throws
 * other system errors.
 */
export async function keepServerKey(home: string): Promise<string | undefined> {
  try {
    return (await createFileOnce(serverKeyFile(home), `${randomBytes(32).toString("hex")}\n`, 0o600)).trim();
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Returns the key of a home, or undefined if no server has created one. Throws system errors. */
export async function findServerKey(home: string): Promise<string | undefined> {
  const key = (await findFile(serverKeyFile(home)))?.trim() ?? "";
  return hex.test(key) ? key : undefined;
}
