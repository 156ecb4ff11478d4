/**
 * Tag OSInstallationReport: the machine's agent finished this generation, with this outcome.
 *
 * Written by heartbeats. The generation only grows, and the first report of a generation stands. Deleted with the
 * machine.
 */
import { sql } from "drizzle-orm";
import { bigint, check, index, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

/** Outcomes of an installation. */
export const installationResults = ["success", "error"] as const;

export const osInstallationReport = pgTable(
  "os_installation_report",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    generation: bigint({ mode: "bigint" }).notNull(),
    reportedAt: timestamptz().notNull(),
    result: text({ enum: installationResults }).notNull(),
    /** The agent's error message; set exactly when the result is an error. */
    error: text(),
    /** The cloud.bmaas.server.api.OSInstallationReport in protobuf's binary form. */
    report: bytea().notNull(),
  },
  (table) => [
    // The count of the fleet reads all machines in the order of their ids, and only these columns of each.
    index("os_installation_report_machine_id_result_since_idx").on(table.machineId, table.result, table.reportedAt),
    // Operators look for failed machines first.
    index("os_installation_report_failed_idx").on(table.machineId).where(sql`${table.result} = 'error'`),
    check("os_installation_report_result_check", sql`${table.result} in ('success', 'error')`),
    check("os_installation_report_error_check", sql`(${table.error} is not null) = (${table.result} = 'error')`),
  ],
);
