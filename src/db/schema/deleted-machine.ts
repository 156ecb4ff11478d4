/**
 * The greatest generation that a deleted machine had reached. An agent remembers the last generation that it attempted,
 * so a machine that is created again under the same id must continue from there.
 *
 * Written by operators who delete a machine; never deleted.
 */
import { sql } from "drizzle-orm";
import { bigint, pgTable, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";

export const deletedMachine = pgTable("deleted_machine", {
  machineId: uuid().primaryKey(),
  /** The greatest generation ever requested of or reported by the machine; 0 if there was none. */
  generation: bigint({ mode: "bigint" }).notNull(),
  deletedAt: timestamptz().notNull().default(sql`now()`),
});
