/**
 * Tag DuplicateAgent: two machines call with this machine's id and key, as those do whose disks were cloned.
 *
 * Written by the heartbeat whose boot id, or whose hardware report's serial number, is one that another had taken the
 * place of. Goes with the agent's key: whoever replaces it says which of the machines is meant. Without that it holds
 * until `until`.
 */
import { sql } from "drizzle-orm";
import { check, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

/** What came back. */
export const duplicateSigns = ["boot_id", "serial_number"] as const;

export const duplicateAgent = pgTable(
  "duplicate_agent",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    /** The last sign: what came back, its value, and the value in whose place it came. */
    sign: text({ enum: duplicateSigns }).notNull(),
    value: text().notNull(),
    otherValue: text().notNull(),
    /** The first sign since which none has been missing for as long as it may. */
    since: timestamptz().notNull(),
    /** The last sign. */
    seenAt: timestamptz().notNull(),
    /** When the machine is taken for one again unless another sign comes before. */
    until: timestamptz().notNull(),
  },
  (table) => [check("duplicate_agent_sign_check", sql`${table.sign} in ('boot_id', 'serial_number')`)],
);
