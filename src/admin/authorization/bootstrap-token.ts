/**
 * The first administrator's token, without which nobody could create another one. It is created while no administrator
 * has a valid token, and stored in a file in the server's home.
 *
 * The file is written before the row, under a lock that all servers of the database share. The next start repairs
 * whatever a crash leaves: a file without its row is not a valid token, and a new token is created.
 */
import { mkdir } from "node:fs/promises";
import type { Logger } from "pino";
import { findFile, replaceFile } from "../../base/atomic-file.ts";
import { adminTokenFile } from "../../base/local-server.ts";
import { readSecretId } from "../../contract/secret-id.ts";
import type { Database, Transaction } from "../../db/client.ts";
import {
  findAdminToken,
  hasValidAdmin,
  holdAdminTokens,
  insertAdminToken,
  revokeAdminTokenByName,
} from "../../db/queries/admin-token.ts";
import { transact } from "../../db/transact.ts";
import { createSecret, isSecretOf } from "./token-secret.ts";

/** Name of the bootstrap token. Callers cannot give this name to another token. */
export const bootstrapName = "bootstrap";
/** The actor that creates and revokes the token. */
const server = "server";

/** Options of `ensureBootstrapToken`. */
export interface BootstrapOptions {
  readonly db: Database;
  readonly home: string;
  /**
   * Whether the home contains the database. Then a lost file is replaced even if others have tokens, since anyone who
   * can read the home can read the database too.
   */
  readonly isOwnDatabase: boolean;
  readonly log: Logger;
}

/** Outcome of an attempt. */
type Outcome = "found" | "made" | "others" | "stale";

/** The file cannot be read, or cannot be written. */
class TokenFileError extends Error {
  override readonly name = "TokenFileError";
}

/**
 * Returns the path of the file that now holds a valid token of an administrator. Returns undefined when only others
 * have one, and when the file cannot be used, since agents are served all the same.
 */
export async function ensureBootstrapToken(options: BootstrapOptions): Promise<string | undefined> {
  const { db, home, log } = options;
  const file = adminTokenFile(home);
  try {
    const outcome = await transact(db, (tx) => ensure(tx, file, options));
    say(outcome, file, log);
    return outcome === "made" || outcome === "found" ? file : undefined;
  } catch (error) {
    if (!(error instanceof TokenFileError)) throw error;
    log.error(
      { file, err: error.cause },
      "cannot store the administrator's token: make its folder writable, then restart",
    );
    return undefined;
  }
}

/**
 * Finds the token or creates it. Safe to repeat: the last attempt of the transaction writes the file whose row it
 * commits.
 */
async function ensure(tx: Transaction, file: string, { home, isOwnDatabase }: BootstrapOptions): Promise<Outcome> {
  await holdAdminTokens(tx);
  const found = await onFile(() => findFile(file));
  if (found !== undefined && (await isAdminSecret(tx, found.trim()))) return "found";
  if (!isOwnDatabase && (await hasValidAdmin(tx))) return found === undefined ? "others" : "stale";
  const { id, secret, hash } = createSecret();
  await onFile(async () => {
    await mkdir(home, { recursive: true, mode: 0o700 });
    await replaceFile(file, `${secret}\n`, 0o600);
  });
  await revokeAdminTokenByName(tx, bootstrapName, server);
  await insertAdminToken(tx, { id, name: bootstrapName, role: "admin", secretHash: hash, createdBy: server });
  return "made";
}

async function onFile<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new TokenFileError("cannot use the administrator's token file", { cause: error });
  }
}

function say(outcome: Outcome, file: string, log: Logger): void {
  if (outcome === "made") log.info({ file }, "created an administrator token");
  if (outcome === "stale")
    log.warn({ file }, "the token in this file is not valid here; there are other administrator tokens");
  if (outcome === "others") log.info("this database already has administrator tokens, so this server created none");
}

async function isAdminSecret(tx: Transaction, secret: string): Promise<boolean> {
  const id = readSecretId(secret);
  const token = id === undefined ? undefined : await findAdminToken(tx, id);
  if (token === undefined || !isSecretOf(secret, token.secretHash)) return false;
  return token.role === "admin" && token.revokedAt === null && !token.isExpired;
}
