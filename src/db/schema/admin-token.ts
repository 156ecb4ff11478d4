/**
 * Bearer tokens of operators and programs. Only the hash of the secret is stored, which suffices for comparing since
 * the secret is random and long.
 *
 * Written by administrators and by the first start. Rows stay, so that a name in the history can be looked up.
 */
import { sql } from "drizzle-orm";
import { check, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";

/** Roles of callers. Each role may do everything that the roles before it may do. */
const roles = ["viewer", "operator", "admin"] as const;

export const adminToken = pgTable(
  "admin_token",
  {
    /** Also part of the token that the caller sends, to find the row by; not secret. */
    id: text().primaryKey(),
    /** Becomes the actor "token:<name>". */
    name: text().notNull(),
    role: text({ enum: roles }).notNull(),
    /** SHA-256 of the secret. */
    secretHash: bytea().notNull(),
    createdAt: timestamptz().notNull().default(sql`now()`),
    createdBy: text().notNull(),
    expiresAt: timestamptz(),
    revokedAt: timestamptz(),
    revokedBy: text(),
  },
  (table) => [
    // The history names who acted by this name, so only one token in use may have it.
    uniqueIndex("admin_token_name_key").on(table.name).where(sql`${table.revokedAt} is null`),
    check("admin_token_role_check", sql`${table.role} in ('viewer', 'operator', 'admin')`),
    check("admin_token_secret_hash_check", sql`octet_length(${table.secretHash}) = 32`),
  ],
);
