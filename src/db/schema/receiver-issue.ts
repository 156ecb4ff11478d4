/**
 * Issues that exist as far as receivers were told: what the dispatcher compares the view of issues with, to find those
 * that began or ended. Written by the dispatcher alone, in the transaction that makes the deliveries; empty while no
 * receiver chooses events of issues.
 */
import { pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";

export const receiverIssue = pgTable(
  "receiver_issue",
  {
    /** The machine; `noMachine` for an issue of the server. */
    machineId: uuid().notNull(),
    type: text().notNull(),
    /** The part that has the issue; empty for the machine as a whole. */
    target: text().notNull(),
    severity: text().notNull(),
    since: timestamptz().notNull(),
    detail: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.machineId, table.type, table.target] })],
);
