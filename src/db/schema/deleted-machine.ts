/**
 * What outlives a machine that was deleted: how far its generations had come. An agent remembers which generation it attempted
 * last, so a machine that is created again under the same id goes on from there.
 *
 * Written by operators who delete a machine; stays.
 */
import { sql } from "drizzle-orm";
import { bigint, pgTable, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";

export const deletedMachine = pgTable("deleted_machine", {
  machineId: uuid().primaryKey(),
  /** The greatest generation ever requested of or reported by the machine; 0 when there was none. */
  generation: bigint({ mode: "bigint" }).notNull(),
  deletedAt: timestamptz().notNull().default(sql`now()`),
});
