/**
 * Tag HardwareReport: the machine's agent found this hardware.
 *
 * Written by a heartbeat whose report differs from the stored one, which then becomes a past one. A heartbeat with an
 * equal report only confirms it, at most once an hour. Deleted with the machine.
 */
import { sql } from "drizzle-orm";
import { bigint, index, integer, jsonb, pgTable, text, uuid } from "drizzle-orm/pg-core";
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
    /** Figures of the report, to filter and sum by; null in reports that were stored before these columns existed. */
    memoryBytes: bigint({ mode: "bigint" }),
    /** Hardware threads of all processors. */
    cpuThreads: integer(),
    /** Total size of all disks. */
    diskBytes: bigint({ mode: "bigint" }),
    largestDiskBytes: bigint({ mode: "bigint" }),
    /**
     * The value of reported_at with which the report's identifiers were stored; another one when a server stored the
     * report that did not know the table machine_identifier.
     */
    identifiedAt: timestamptz(),
    /**
     * SHA-256 of the report's identifiers as JSON, so that the same ones need no comparison. It counts only while
     * `digestedAt`, the `reportedAt` of the report that it is of, is the stored report's.
     */
    identifiersDigest: bytea(),
    digestedAt: timestamptz(),
    /** When the report last arrived; null if a server of an older version stored it. */
    confirmedAt: timestamptz(),
    /**
     * The `reportedAt` of the report from which `disks` and `systemUuid` were read. It differs from `reportedAt` if a
     * server of an older version has stored a later report.
     */
    inventoriedAt: timestamptz(),
    /** Kernel names of the disks by what identifies them, without disks whose names the agent does not report. */
    disks: jsonb().$type<Readonly<Record<string, string>>>(),
    systemUuid: text(),
    /**
     * The agent's process from which the report last arrived, as `AgentIdentity` names it; null if a server of an older
     * version stored it.
     */
    reportedBy: bytea(),
  },
  // The count of the fleet reads all machines in the order of their ids, and only these figures of each report.
  (table) => [
    index("hardware_report_figures_idx").on(table.machineId, table.memoryBytes, table.cpuThreads, table.diskBytes),
    // For finding the reports whose identifiers are not stored yet.
    index("hardware_report_unidentified_idx")
      .on(table.machineId)
      .where(sql`identified_at is distinct from reported_at`),
  ],
);
