/**
 * What happened to machines: who did what, when. Append-only.
 *
 * Every change of an installation's state, and every change that an operator makes, adds a row in its own transaction. Rows
 * outlive their machine, so that its deletion is on record too.
 */
import { sql } from "drizzle-orm";
import { bigint, index, jsonb, pgTable, text, timestamp, uniqueIndex, uuid } from "drizzle-orm/pg-core";

/** What can happen to a machine. */
const historyKinds = [
  "machine_created",
  "machine_provided",
  "agent_registered",
  "agent_replaced",
  "installation_requested",
  "installation_reported",
  "installation_report_refused",
] as const;

export const machineHistory = pgTable(
  "machine_history",
  {
    id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity(),
    machineId: uuid().notNull(),
    at: timestamp({ withTimezone: true }).notNull().defaultNow(),
    /** "agent:" and its public key in hexadecimal digits, or "seed:" and the user who ran it. */
    actor: text().notNull(),
    kind: text({ enum: historyKinds }).notNull(),
    detail: jsonb().$type<Record<string, string | null>>().notNull(),
  },
  (table) => [
    index("machine_history_machine_id_id_idx").on(table.machineId, table.id),
    // An agent repeats a report until it is taken; one that never will be is recorded once.
    uniqueIndex("machine_history_refused_report_key")
      .on(table.machineId, sql`(${table.detail} ->> 'generation')`)
      .where(sql`${table.kind} = 'installation_report_refused'`),
  ],
);
