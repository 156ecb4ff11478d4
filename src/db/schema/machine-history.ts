/**
 * Events of machines: who did what, and when. Append-only, except that a boot extends the row of a boot at most an hour
 * before it, and a change of an agent's health alerts the row of such a change; the row then has the transaction of the
 * last one.
 *
 * Every change of an installation's state except by time, and every change by an operator, adds a row in its own
 * transaction. Rows outlive their machine, so that its deletion is on record too.
 */
import { sql } from "drizzle-orm";
import { bigint, index, jsonb, pgTable, text, uniqueIndex, uuid } from "drizzle-orm/pg-core";
import { historyKinds } from "../../contract/history-kinds.ts";
import { timestamptz, xid8 } from "./columns.ts";

export const machineHistory = pgTable(
  "machine_history",
  {
    id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity(),
    /** The machine, or the enrolment for kinds that begin with "enrolment_". */
    machineId: uuid().notNull(),
    at: timestamptz().notNull().default(sql`now()`),
    /**
     * The actor: "token:" and the token's name, "oidc:" and the subject, "agent:" and its public key in hexadecimal
     * digits, "join-token:" and the token's id, "settings:" and the setting that decided, or "seed:" and the user who
     * ran the seed.
     */
    actor: text().notNull(),
    kind: text({ enum: historyKinds }).notNull(),
    detail: jsonb().$type<Record<string, string | null>>().notNull(),
    /**
     * The transaction that wrote the row. Ids are assigned before the commit, so a lower one can appear after a higher
     * one. Everything older than the oldest transaction under way is complete, and watchers read that far.
     */
    transaction: xid8().notNull().default(sql`pg_current_xact_id()`),
  },
  (table) => [
    index("machine_history_machine_id_id_idx").on(table.machineId, table.id),
    index("machine_history_transaction_id_idx").on(table.transaction, table.id),
    index("machine_history_at_id_idx").on(table.at, table.id),
    // An agent repeats a report until it is accepted. One that never will be is recorded once.
    uniqueIndex("machine_history_refused_report_key")
      .on(table.machineId, sql`(${table.detail} ->> 'generation')`)
      .where(sql`${table.kind} = 'installation_report_refused'`),
  ],
);
