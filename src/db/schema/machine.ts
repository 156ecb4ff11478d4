/**
 * A machine: a row with a UUID, and nothing more until tags say so.
 *
 * Written by operators (seed, admin API) only. The row is also the lock of the machine: whoever changes what operators decide
 * about it (its requests above all) holds the row `FOR NO KEY UPDATE`, several machines in id order: foreign keys that point to it
 * go on, so heartbeats do.
 */
import { sql } from "drizzle-orm";
import { pgTable, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";

export const machine = pgTable("machine", {
  id: uuid().primaryKey(),
  createdAt: timestamptz().notNull().default(sql`now()`),
  /** When an operator last took the agent's key away. */
  agentRevokedAt: timestamptz(),
  /** When an operator last took away what the provider says. */
  unprovidedAt: timestamptz(),
});
