/** Resume tokens, which say where a watch continues: opaque to callers, and checked when they come back. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { Database } from "../../db/client.ts";
import { latestTimeMs } from "../../db/database-time.ts";
import { type HistoryPosition, type Lineage, readHistoryPosition } from "../../db/queries/history-position.ts";
import { badRequest } from "../../rpc/wire/error-details.ts";

/** Position of a watcher. */
export interface ResumePoint {
  readonly position: HistoryPosition;
  /** The lineage of the history in which the position is. */
  readonly lineage: Lineage;
  /** Time, by the database's clock, up to which the watcher knows which agents fell silent or came back. */
  readonly silenceAt: Date;
}

/** Returns whether two points have the same token. */
export function isSamePoint(a: ResumePoint, b: ResumePoint): boolean {
  return (
    a.position.transaction === b.position.transaction &&
    a.position.id === b.position.id &&
    a.lineage === b.lineage &&
    a.silenceAt.getTime() === b.silenceAt.getTime()
  );
}

/** The second form is that of older servers, which tells no lineage. */
const forms = [/^2\.(\d{1,20})\.(\d{1,19})\.(\d{1,15})\.([\w-]{0,40})$/, /^1\.(\d{1,20})\.(\d{1,19})\.(\d{1,15})()$/];

/** Returns the token of a point. */
export function encodeResumeToken({ position, lineage, silenceAt }: ResumePoint): string {
  const { transaction, id } = position;
  return Buffer.from(`2.${transaction}.${id}.${silenceAt.getTime()}.${lineage}`).toString("base64url");
}

/** Parses a token. Throws `invalid_argument` for anything else. */
export function decodeResumeToken(token: string): ResumePoint {
  const text = Buffer.from(token, "base64url").toString("latin1");
  const fields = forms.map((form) => form.exec(text)).find((match) => match !== null);
  const [, transaction, id, silenceAt, lineage] = fields ?? [];
  if (transaction === undefined || id === undefined || silenceAt === undefined || lineage === undefined)
    throw notAToken();
  const position = { transaction: BigInt(transaction), id: BigInt(id) };
  if (position.transaction >= 2n ** 64n || position.id >= 2n ** 63n || Number(silenceAt) > latestTimeMs)
    throw notAToken();
  return { position, lineage, silenceAt: new Date(Number(silenceAt)) };
}

/**
 * Returns a token for everything that happens from now on. Take it before reading the list that the watch should
 * continue.
 */
export async function createWatchToken(db: Database): Promise<string> {
  const { position, lineage, at } = await readHistoryPosition(db);
  return encodeResumeToken({ position, lineage, silenceAt: at });
}

function notAToken(): ConnectError {
  const description = "is not a token of this server: use the last token of a watch or a list";
  return new ConnectError(`resume_token ${description}`, Code.InvalidArgument, undefined, [
    badRequest([{ field: "resume_token", description }]),
  ]);
}
