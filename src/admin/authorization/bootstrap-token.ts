/**
 * The first administrator's token, without which nobody could make another one. It is made while no administrator has a valid token,
 * and lies in a file of the server's home.
 *
 * The file is written before the row, under a lock that all servers of the database share. Whatever a crash leaves, the next start
 * mends: a file without its row is no token, and another one is made.
 */
import { mkdir } from "node:fs/promises";
import type { Logger } from "pino";
import { findFile, replaceFile } from "../../base/atomic-file.ts";
import { adminTokenFile } from "../../base/local-server.ts";
import type { Database, Transaction } from "../../db/client.ts";
import {
  findAdminToken,
  hasValidAdmin,
  holdAdminTokens,
  insertAdminToken,
  revokeAdminTokenByName,
} from "../../db/queries/admin-token.ts";
import { transact } from "../../db/transact.ts";
import { createSecret, isSecretOf, readSecretId } from "./token-secret.ts";

/** The token's name; nobody else can give it. */
export const bootstrapName = "bootstrap";
/** Who made it, and who revokes it. */
const server = "server";

/** What the token of a server depends on. */
export interface BootstrapOptions {
  readonly db: Database;
  readonly home: string;
  /** Whoever reads the home can read such a database too, so a lost file is replaced though others have tokens. */
  readonly isOwnDatabase: boolean;
  readonly log: Logger;
}

/** What was found, or done. */
type Outcome = "found" | "made" | "others" | "stale";

/** The file can be neither read nor written, or not both. */
class TokenFileError extends Error {
  override readonly name = "TokenFileError";
}

/**
 * Returns the file that holds a valid token of an administrator now; undefined when others have one and this server has not, and
 * when the file cannot be used: agents are served all the same.
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
      "the administrator's token cannot be kept: make its folder writable, and start again",
    );
    return undefined;
  }
}

/** Safe to repeat: the last try of the transaction writes the file whose row it commits. */
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
    throw new TokenFileError("the file of the administrator's token cannot be used", { cause: error });
  }
}

function say(outcome: Outcome, file: string, log: Logger): void {
  if (outcome === "made") log.info({ file }, "made an administrator's token");
  if (outcome === "stale") log.warn({ file }, "the token in this file is not valid here; administrators have others");
  if (outcome === "others") log.info("administrators have tokens in this database already: this server made none");
}

async function isAdminSecret(tx: Transaction, secret: string): Promise<boolean> {
  const id = readSecretId(secret);
  const token = id === undefined ? undefined : await findAdminToken(tx, id);
  if (token === undefined || !isSecretOf(secret, token.secretHash)) return false;
  return token.role === "admin" && token.revokedAt === null && !token.isExpired;
}
