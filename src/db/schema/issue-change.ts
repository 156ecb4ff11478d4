/**
 * Issues that began or ended, which watchers and receivers read together with the history. Written by comparing alone,
 * and deleted after a week: an agent that is silent every few minutes would fill the history.
 */
import { sql } from "drizzle-orm";
import { bigint, boolean, index, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz, xid8 } from "./columns.ts";

export const issueChange = pgTable(
  "issue_change",
  {
    /** From the sequence of the history, so that one position stands for both tables. */
    id: bigint({ mode: "bigint" }).primaryKey().default(sql`nextval('machine_history_id_seq')`),
    /** The transaction that wrote the row, as in the history. */
    transaction: xid8().notNull().default(sql`pg_current_xact_id()`),
    /** The machine; null for an issue of the server. */
    machineId: uuid(),
    /** When the comparison saw it. */
    at: timestamptz().notNull(),
    /** When the comparison before began, which did not see it. */
    unseenAt: timestamptz(),
    hasBegun: boolean().notNull(),
    type: text().notNull(),
    severity: text().notNull(),
    since: timestamptz().notNull(),
    target: text().notNull(),
    /** For one that ended, as it was when it began. */
    detail: text().notNull(),
  },
  (table) => [
    index("issue_change_transaction_id_idx").on(table.transaction, table.id),
    index("issue_change_at_idx").on(table.at),
  ],
);
