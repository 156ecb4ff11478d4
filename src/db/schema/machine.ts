/**
 * A machine: a row with a UUID. Everything else about it is a tag.
 *
 * Written by operators only (seed, admin API). The row is also the machine's lock: a change of what operators decide
 * about the machine, its requests above all, locks the row `FOR NO KEY UPDATE`, several machines in id order. Foreign
 * keys to the row do not conflict with that lock, so heartbeats proceed.
 */
import { sql } from "drizzle-orm";
import { index, pgTable, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";

export const machine = pgTable(
  "machine",
  {
    id: uuid().primaryKey(),
    createdAt: timestamptz().notNull().default(sql`now()`),
    /** When an operator last revoked the agent's key. */
    agentRevokedAt: timestamptz(),
    /** When an operator last removed the tag Provided. */
    unprovidedAt: timestamptz(),
  },
  // The count of the fleet reads all machines in the order of their ids, and only these columns of each.
  (table) => [index("machine_id_since_idx").on(table.id, table.createdAt, table.agentRevokedAt, table.unprovidedAt)],
);
