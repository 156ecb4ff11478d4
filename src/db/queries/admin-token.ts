/** Queries on bearer tokens. Callers check who may run them. */
import { and, desc, eq, getTableColumns, isNull, ne, type SQL, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { adminToken } from "../schema/index.ts";

/** A token as it is stored. */
export type AdminTokenRow = typeof adminToken.$inferSelect;

/** Role of a caller. Each role may do everything that the roles before it may do. */
export type AdminRole = AdminTokenRow["role"];

/** No token has this id. */
export class TokenNotFoundError extends Error {
  override readonly name = "TokenNotFoundError";
  constructor() {
    super("no token has this id");
  }
}

/** A token that is in use has this name already. */
export class TokenNameInUseError extends Error {
  override readonly name = "TokenNameInUseError";
  readonly tokenId: string;
  constructor(name: string, tokenId: string) {
    super(`the name ${name} is in use by token ${tokenId}: choose another one, or revoke that token first`);
    this.tokenId = tokenId;
  }
}

/** The token is the last valid one of an administrator. */
export class LastAdminTokenError extends Error {
  override readonly name = "LastAdminTokenError";
  readonly tokenId: string;
  constructor(tokenId: string) {
    super("this is the last valid administrator token: create another one first, or use force");
    this.tokenId = tokenId;
  }
}

const isExpired = sql<boolean>`(${adminToken.expiresAt} is not null and ${adminToken.expiresAt} <= now())`;
const isValid = and(isNull(adminToken.revokedAt), sql`not ${isExpired}`);

/** Key of the advisory lock of tokens; no other advisory lock of this program has this number. */
const tokensLock = 4_716_022_919;

/** Holds all tokens until the transaction ends: changes of tokens, which are rare, run one after the other. */
export async function holdAdminTokens(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${tokensLock}::bigint)`);
}

/**
 * Stores a new token. If an expired token has the same name, revokes that one. The transaction must hold the tokens.
 * Throws TokenNameInUseError.
 */
export async function insertAdminToken(
  tx: Database | Transaction,
  token: Pick<AdminTokenRow, "id" | "name" | "role" | "secretHash" | "createdBy"> & { expiresAt?: Date | undefined },
): Promise<AdminTokenRow> {
  await tx
    .update(adminToken)
    .set({ revokedAt: sql`now()`, revokedBy: token.createdBy })
    .where(and(eq(adminToken.name, token.name), isNull(adminToken.revokedAt), isExpired));
  const [row] = await tx
    .insert(adminToken)
    .values({ ...token, expiresAt: token.expiresAt ?? null })
    .onConflictDoNothing({ target: adminToken.name, where: isNull(adminToken.revokedAt) })
    .returning();
  if (row !== undefined) return row;
  const [holder] = await tx
    .select({ id: adminToken.id })
    .from(adminToken)
    .where(and(eq(adminToken.name, token.name), isNull(adminToken.revokedAt)));
  throw new TokenNameInUseError(token.name, holder?.id ?? "");
}

/** Returns the token with this id, and whether it has expired by the database's clock. */
export async function findAdminToken(
  db: Database | Transaction,
  id: string,
): Promise<(AdminTokenRow & { readonly isExpired: boolean }) | undefined> {
  const [row] = await db
    .select({ ...getTableColumns(adminToken), isExpired })
    .from(adminToken)
    .where(eq(adminToken.id, id));
  return row;
}

/** Returns whether an administrator has a valid token, other than `exceptId`. */
export async function hasValidAdmin(db: Database | Transaction, exceptId?: string): Promise<boolean> {
  const [row] = await db
    .select({ id: adminToken.id })
    .from(adminToken)
    .where(and(eq(adminToken.role, "admin"), isValid, exceptId === undefined ? undefined : ne(adminToken.id, exceptId)))
    .limit(1);
  return row !== undefined;
}

/**
 * Returns up to `limit` tokens that follow the one with the id `after`, newest first. Includes revoked and expired
 * tokens only with `showEnded`.
 */
export async function listAdminTokens(
  db: Database,
  { showEnded, after, limit }: { showEnded: boolean; after: string | undefined; limit: number },
): Promise<AdminTokenRow[]> {
  const key: SQL = sql`(${adminToken.createdAt}, ${adminToken.id})`;
  return await db
    .select()
    .from(adminToken)
    .where(
      and(
        showEnded ? undefined : isValid,
        // Rows stay for ever, so the id identifies the end of the previous page exactly, to the microsecond.
        after === undefined
          ? undefined
          : sql`${key} < (select last.created_at, last.id from ${adminToken} last where last.id = ${after})`,
      ),
    )
    .orderBy(desc(adminToken.createdAt), desc(adminToken.id))
    .limit(limit);
}

/** The revoked token, and whether this call revoked it. */
export interface Revocation {
  readonly token: AdminTokenRow;
  readonly isNew: boolean;
}

/**
 * Revokes a token, unless it is revoked already. The transaction must hold the tokens: if two administrators revoke
 * each other's token at once, the second is refused. Throws TokenNotFoundError, and LastAdminTokenError unless `force`.
 */
export async function revokeAdminToken(
  tx: Transaction,
  { id, revokedBy, force }: { id: string; revokedBy: string; force: boolean },
): Promise<Revocation> {
  const found = await findAdminToken(tx, id);
  if (found === undefined) throw new TokenNotFoundError();
  if (found.revokedAt !== null) return { token: found, isNew: false };
  const isValidAdmin = found.role === "admin" && !found.isExpired;
  if (isValidAdmin && !force && !(await hasValidAdmin(tx, id))) throw new LastAdminTokenError(id);
  const [token] = await tx
    .update(adminToken)
    .set({ revokedAt: sql`now()`, revokedBy })
    .where(eq(adminToken.id, id))
    .returning();
  return { token: token as AdminTokenRow, isNew: true };
}

/** Revokes the token that is in use under this name, if there is one. */
export async function revokeAdminTokenByName(tx: Transaction, name: string, revokedBy: string): Promise<void> {
  await tx
    .update(adminToken)
    .set({ revokedAt: sql`now()`, revokedBy })
    .where(and(eq(adminToken.name, name), isNull(adminToken.revokedAt)));
}
