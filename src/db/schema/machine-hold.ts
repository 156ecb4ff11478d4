/**
 * Tag Hold: an operator keeps installations away from this machine.
 *
 * Written by operators only. It counts until `until`, or until it is released; whoever reads it compares with now().
 */
import { sql } from "drizzle-orm";
import { boolean, index, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const machineHold = pgTable(
  "machine_hold",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    reason: text().notNull(),
    /** Where the work is tracked, such as the URL of a ticket. */
    ticket: text(),
    /** Whether issues and alerts leave the machine out. */
    isMuted: boolean().notNull(),
    heldAt: timestamptz().notNull().default(sql`now()`),
    /** Actor who set it. */
    heldBy: text().notNull(),
    /** Time at which it ends; null for one that only an operator ends. */
    until: timestamptz(),
  },
  // For finding the holds that are about to end.
  (table) => [index("machine_hold_ending_idx").on(table.machineId).where(sql`until is not null`)],
);

/** Returns the SQL condition that the machine_hold row `hold` counts now. */
export function isHolding(hold: string): string {
  return `(${hold}.until is null or ${hold}.until > now())`;
}
