/**
 * Replaced hardware reports: the last nine of each machine.
 *
 * Written by a heartbeat whose report differs from the stored one. Deleted with the machine.
 */
import { bigint, index, pgTable, uuid } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const hardwareReportPast = pgTable(
  "hardware_report_past",
  {
    id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity(),
    machineId: uuid()
      .notNull()
      .references(() => machine.id, { onDelete: "cascade" }),
    /** When this report first arrived. */
    reportedAt: timestamptz().notNull(),
    /** A cloud.bmaas.server.api.AgentHardwareReport in protobuf's binary form. */
    report: bytea().notNull(),
  },
  (table) => [index("hardware_report_past_machine_id_id_idx").on(table.machineId, table.id)],
);
