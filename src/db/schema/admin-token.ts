/**
 * Bearer tokens of operators and programs. The secret itself is not kept: its hash is, which is as good for comparing, since the
 * secret is random and long.
 *
 * Written by administrators, and by the first start; stays, so that a name in the history can be looked up.
 */
import { sql } from "drizzle-orm";
import { check, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";

/** What a caller may do; each one may do what those before it may. */
const roles = ["viewer", "operator", "admin"] as const;

export const adminToken = pgTable(
  "admin_token",
  {
    /** Stands in the secret too, to find the row by; not secret. */
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
    // A name says who did something: only one token in use has it.
    uniqueIndex("admin_token_name_key").on(table.name).where(sql`${table.revokedAt} is null`),
    check("admin_token_role_check", sql`${table.role} in ('viewer', 'operator', 'admin')`),
    check("admin_token_secret_hash_check", sql`octet_length(${table.secretHash}) = 32`),
  ],
);
