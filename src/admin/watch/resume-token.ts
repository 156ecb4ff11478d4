/** Resume tokens, which say where a watch continues: opaque to callers, and checked when they come back. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { Database, Transaction } from "../../db/client.ts";
import { latestTimeMs } from "../../db/database-time.ts";
import { type HistoryPosition, readHistoryPosition } from "../../db/queries/machine-change.ts";
import { badRequest } from "../../rpc/wire/error-details.ts";

/** Position of a watcher. */
export interface ResumePoint {
  readonly position: HistoryPosition;
  /** Time, by the database's clock, up to which the watcher knows which agents fell silent or came back. */
  readonly silenceAt: Date;
}

/** Returns whether two points have the same token. */
export function isSamePoint(a: ResumePoint, b: ResumePoint): boolean {
  return (
    a.position.transaction === b.position.transaction &&
    a.position.id === b.position.id &&
    a.silenceAt.getTime() === b.silenceAt.getTime()
  );
}

const form = /^1\.(\d{1,20})\.(\d{1,19})\.(\d{1,15})$/;

/** Returns the token of a point. */
export function encodeResumeToken({ position, silenceAt }: ResumePoint): string {
  return Buffer.from(`1.${position.transaction}.${position.id}.${silenceAt.getTime()}`).toString("base64url");
}

/** Parses a token. Throws `invalid_argument` for anything else. */
export function decodeResumeToken(token: string): ResumePoint {
  const [, transaction, id, silenceAt] = form.exec(Buffer.from(token, "base64url").toString("latin1")) ?? [];
  if (transaction === undefined || id === undefined || silenceAt === undefined) throw notAToken();
  const position = { transaction: BigInt(transaction), id: BigInt(id) };
  if (position.transaction >= 2n ** 64n || position.id >= 2n ** 63n || Number(silenceAt) > latestTimeMs)
    throw notAToken();
  return { position, silenceAt: new Date(Number(silenceAt)) };
}

/**
 * Returns a token for everything that happens from now on. Take it before reading the list that the watch should
 * continue.
 */
export async function createWatchToken(db: Database | Transaction): Promise<string> {
  const { position, at } = await readHistoryPosition(db);
  return encodeResumeToken({ position, silenceAt: at });
}

function notAToken(): ConnectError {
  const description = "is not a token of this server: use the last token of a watch or a list";
  return new ConnectError(`resume_token ${description}`, Code.InvalidArgument, undefined, [
    badRequest([{ field: "resume_token", description }]),
  ]);
}
