/**
 * Join tokens: secrets that let a limited number of agents in for a limited time. The table has only their hashes.
 *
 * Written by operators, and counted by the enrolments that use it. Rows stay, so that the actor "join-token:<id>" of
 * the history can be looked up.
 */
import { sql } from "drizzle-orm";
import { boolean, check, integer, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";

export const joinToken = pgTable(
  "join_token",
  {
    /** Also part of the secret, to find the row by; not secret. */
    id: text().primaryKey(),
    /** SHA-256 of the secret. */
    secretHash: bytea().notNull(),
    /** How many agents it may let in, and how many have used it. */
    maxUses: integer().notNull(),
    uses: integer().notNull().default(0),
    /** Whether an agent with the token still waits for an operator. */
    requiresApproval: boolean().notNull(),
    /** Whether only agents whose machines are expected are let in, and others wait. */
    onlyExpected: boolean().notNull().default(false),
    /** The provider and location of the machines that it lets in; null if they are not provided. */
    provider: text(),
    location: text(),
    /** Labels of the machines that it lets in. */
    labels: jsonb().$type<Record<string, string>>().notNull(),
    createdAt: timestamptz().notNull().default(sql`now()`),
    createdBy: text().notNull(),
    expiresAt: timestamptz().notNull(),
    revokedAt: timestamptz(),
    revokedBy: text(),
  },
  (table) => [
    check("join_token_uses_check", sql`${table.uses} between 0 and ${table.maxUses}`),
    check("join_token_secret_hash_check", sql`octet_length(${table.secretHash}) = 32`),
  ],
);
