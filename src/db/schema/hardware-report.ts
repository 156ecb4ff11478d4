/**
 * Tag HardwareReport: the machine's agent found this hardware.
 *
 * Written when a heartbeat carries a report that differs from the stored one, which becomes a past one then. Goes with the machine.
 */
import { bigint, index, integer, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const hardwareReport = pgTable(
  "hardware_report",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    /** When this report first arrived. */
    reportedAt: timestamptz().notNull(),
    /** A cloud.bmaas.server.api.AgentHardwareReport in protobuf's binary form. */
    report: bytea().notNull(),
    manufacturer: text(),
    product: text(),
    serialNumber: text(),
    /** The report in figures, to filter and sum by; null in reports that were stored before these columns were. */
    memoryBytes: bigint({ mode: "bigint" }),
    /** Hardware threads of all processors. */
    cpuThreads: integer(),
    /** Of all disks together. */
    diskBytes: bigint({ mode: "bigint" }),
    largestDiskBytes: bigint({ mode: "bigint" }),
  },
  // Counting the fleet goes through all machines in the order of their ids, and reads of each the figures alone, not the report.
  (table) => [
    index("hardware_report_figures_idx").on(table.machineId, table.memoryBytes, table.cpuThreads, table.diskBytes),
  ],
);
