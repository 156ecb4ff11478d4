/**
 * The issues that the last comparison saw, and how far comparing is. Written by comparing alone
 * (src/db/issue-comparison.ts); also counted for the fleet's figures.
 */
import { sql } from "drizzle-orm";
import { boolean, check, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";

export const seenIssue = pgTable(
  "seen_issue",
  {
    /** The machine; `noMachine` for an issue of the server. */
    machineId: uuid().notNull(),
    type: text().notNull(),
    /** The part that has the issue; empty for the machine as a whole. */
    target: text().notNull(),
    /** An issue whose severity changes ends, and another one begins. */
    severity: text().notNull(),
    since: timestamptz().notNull(),
    detail: text().notNull(),
  },
  (table) => [
    primaryKey({ name: "seen_issue_pkey", columns: [table.machineId, table.type, table.target, table.severity] }),
  ],
);

/** One row. The lease lets one process at a time compare; when it dies, another continues where it was. */
export const issueComparison = pgTable(
  "issue_comparison",
  {
    /** Always true. */
    only: boolean().primaryKey().default(true),
    /** The process that compares, and until when it may; null when none does. */
    holder: uuid(),
    heldUntil: timestamptz(),
    /** When the round under way began; null when none is. */
    beganAt: timestamptz(),
    /** Id of the machine up to which that round is done; null at its beginning. */
    through: uuid(),
    /** When the last round that was finished began; null before the first. */
    comparedAt: timestamptz(),
    /** When the next round may begin. */
    dueAt: timestamptz().notNull().default(sql`now()`),
  },
  (table) => [check("issue_comparison_only_check", sql`${table.only}`)],
);
