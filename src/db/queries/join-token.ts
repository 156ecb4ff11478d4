/** Queries on join tokens. Operators create and revoke them, enrolments use them. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { and, desc, eq, isNull, type SQL, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { joinToken } from "../schema/index.ts";

/** A join token as it is stored. */
export type JoinTokenRow = typeof joinToken.$inferSelect;

/** Why a join token is refused. */
export type JoinTokenRefusal = "token_wrong" | "token_used_up" | "token_expired" | "token_revoked";

/** No join token has this id. */
export class JoinTokenNotFoundError extends Error {
  override readonly name = "JoinTokenNotFoundError";
  constructor() {
    super("no join token has this id");
  }
}

const form = /^bmaas_join_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;

/** Creates a secret: "bmaas_join_", an id to find the token by, and 256 random bits. Only its hash is to be stored. */
export function createJoinSecret(): { readonly id: string; readonly secret: string; readonly hash: Uint8Array } {
  const id = randomBytes(8).toString("hex");
  const secret = `bmaas_join_${id}_${randomBytes(32).toString("base64url")}`;
  return { id, secret, hash: hashSecret(secret) };
}

/** Returns SHA-256 of a secret. It is as good as a slow hash, since nobody can guess 256 random bits. */
function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** Stores a new join token and returns it. */
export async function insertJoinToken(
  tx: Database | Transaction,
  token: Omit<JoinTokenRow, "uses" | "createdAt" | "revokedAt" | "revokedBy">,
): Promise<JoinTokenRow> {
  const [row] = await tx.insert(joinToken).values(token).returning();
  return row as JoinTokenRow;
}

/** Judged when the row is read, not when the transaction began: it may have waited for locks since. */
const isExpired = sql<boolean>`${joinToken.expiresAt} <= clock_timestamp()`;
const isOver = sql<boolean>`(${joinToken.revokedAt} is not null or ${isExpired} or ${joinToken.uses} >= ${joinToken.maxUses})`;

/**
 * Returns up to `limit` join tokens that follow the one with the id `after`, newest first. Includes those that let
 * nobody in any more only with `showEnded`.
 */
export async function listJoinTokens(
  db: Database,
  { showEnded, after, limit }: { showEnded: boolean; after: string | undefined; limit: number },
): Promise<JoinTokenRow[]> {
  const key: SQL = sql`(${joinToken.createdAt}, ${joinToken.id})`;
  return await db
    .select()
    .from(joinToken)
    .where(
      and(
        showEnded ? undefined : sql`not ${isOver}`,
        // Rows stay for ever, so the id identifies the end of the previous page exactly, to the microsecond.
        after === undefined
          ? undefined
          : sql`${key} < (select last.created_at, last.id from ${joinToken} last where last.id = ${after})`,
      ),
    )
    .orderBy(desc(joinToken.createdAt), desc(joinToken.id))
    .limit(limit);
}

/**
 * Revokes a join token, unless it is revoked already, and returns it with whether this call revoked it. Waits for the
 * enrolments that use it at this moment. Throws JoinTokenNotFoundError.
 */
export async function revokeJoinToken(
  tx: Transaction,
  { id, revokedBy }: { id: string; revokedBy: string },
): Promise<{ readonly token: JoinTokenRow; readonly isNew: boolean }> {
  const [revoked] = await tx
    .update(joinToken)
    .set({ revokedAt: sql`now()`, revokedBy })
    .where(and(eq(joinToken.id, id), isNull(joinToken.revokedAt)))
    .returning();
  if (revoked !== undefined) return { token: revoked, isNew: true };
  const token = await findJoinToken(tx, id);
  if (token === undefined) throw new JoinTokenNotFoundError();
  return { token, isNew: false };
}

/** Returns the join token with this id. */
export async function findJoinToken(db: Database | Transaction, id: string): Promise<JoinTokenRow | undefined> {
  const [row] = await db.select().from(joinToken).where(eq(joinToken.id, id));
  return row;
}

/** Returns the join token whose secret this is, whether or not it still lets anybody in. */
export async function findJoinTokenBySecret(
  db: Database | Transaction,
  secret: string,
): Promise<JoinTokenRow | undefined> {
  const [, id] = form.exec(secret) ?? [];
  const token = id === undefined ? undefined : await findJoinToken(db, id);
  return token && timingSafeEqual(hashSecret(secret), token.secretHash) ? token : undefined;
}

/**
 * Counts one use of a join token, and locks its row until the transaction ends. Returns why the token is refused,
 * and counts nothing then.
 */
export async function useJoinToken(tx: Transaction, id: string): Promise<JoinTokenRefusal | undefined> {
  const used = await tx
    .update(joinToken)
    .set({ uses: sql`${joinToken.uses} + 1` })
    .where(and(eq(joinToken.id, id), sql`not ${isOver}`))
    .returning({ id: joinToken.id });
  return used.length > 0 ? undefined : ((await findTokenRefusal(tx, id)) ?? "token_used_up");
}

/** Returns why a join token lets in no more agents, or undefined if it does. */
export async function findTokenRefusal(tx: Transaction, id: string): Promise<JoinTokenRefusal | undefined> {
  const [token] = await tx
    .select({
      isRevoked: sql<boolean>`${joinToken.revokedAt} is not null`,
      isExpired,
      isUsedUp: sql<boolean>`${joinToken.uses} >= ${joinToken.maxUses}`,
    })
    .from(joinToken)
    .where(eq(joinToken.id, id));
  if (token === undefined) return "token_wrong";
  if (token.isRevoked) return "token_revoked";
  if (token.isExpired) return "token_expired";
  return token.isUsedUp ? "token_used_up" : undefined;
}

/**
 * Returns whether a join token that an agent has used before still lets agents in, and whether it is revoked. Neither
 * a revocation nor another use proceeds until the transaction ends.
 */
export async function holdJoinToken(
  tx: Transaction,
  id: string,
): Promise<{ readonly isRevoked: boolean; readonly letsIn: boolean }> {
  const [token] = await tx
    .select({
      isRevoked: sql<boolean>`${joinToken.revokedAt} is not null`,
      isExpired,
    })
    .from(joinToken)
    .where(eq(joinToken.id, id))
    .for("share");
  if (token === undefined) throw new JoinTokenNotFoundError();
  return { isRevoked: token.isRevoked, letsIn: !token.isRevoked && !token.isExpired };
}
