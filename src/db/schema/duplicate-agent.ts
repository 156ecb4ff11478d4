/**
 * Tag DuplicateAgent: two machines use this machine's id and key, as happens when a disk is cloned.
 *
 * Written by a heartbeat whose boot id or serial number had been replaced by another one before. Deleted with the
 * agent's key: registering another key decides which of the machines is meant. Otherwise it holds until `until`.
 */
import { sql } from "drizzle-orm";
import { check, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

/** Kinds of values that can come back. */
export const duplicateSigns = ["boot_id", "serial_number"] as const;

export const duplicateAgent = pgTable(
  "duplicate_agent",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    /** The last sign: the kind of value that came back, the value, and the value that it replaced. */
    sign: text({ enum: duplicateSigns }).notNull(),
    value: text().notNull(),
    otherValue: text().notNull(),
    /** Time of the first sign since `until` last passed without another one. */
    since: timestamptz().notNull(),
    /** Time of the last sign. */
    seenAt: timestamptz().notNull(),
    /** Time from which the machine counts as one again unless another sign comes before. */
    until: timestamptz().notNull(),
  },
  (table) => [check("duplicate_agent_sign_check", sql`${table.sign} in ('boot_id', 'serial_number')`)],
);

/** Returns the SQL condition that the duplicate_agent row `duplicate` counts now. */
export function isDuplicated(duplicate: string): string {
  return `${duplicate}.until > now()`;
}
