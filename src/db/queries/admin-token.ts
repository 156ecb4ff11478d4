/** Bearer tokens by their id; who may ask is decided elsewhere. */
import { and, eq, gt, isNull, or, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { adminToken } from "../schema/index.ts";

/** A token as it is stored. */
export type AdminTokenRow = typeof adminToken.$inferSelect;

/** What a caller may do; each one may do what those before it may. */
export type AdminRole = AdminTokenRow["role"];

/** Stores a new token. A name that is in use is a unique violation. */
export async function insertAdminToken(
  db: Database | Transaction,
  token: Pick<AdminTokenRow, "id" | "name" | "role" | "secretHash" | "createdBy"> & { expiresAt?: Date | undefined },
): Promise<AdminTokenRow> {
  const [row] = await db
    .insert(adminToken)
    .values({ ...token, expiresAt: token.expiresAt ?? null })
    .returning();
  return row as AdminTokenRow;
}

/** Returns the token of this id unless it is revoked or expired, by the database's clock. */
export async function findValidAdminToken(db: Database, id: string): Promise<AdminTokenRow | undefined> {
  const [row] = await db
    .select()
    .from(adminToken)
    .where(
      and(
        eq(adminToken.id, id),
        isNull(adminToken.revokedAt),
        or(isNull(adminToken.expiresAt), gt(adminToken.expiresAt, sql`now()`)),
      ),
    );
  return row;
}
