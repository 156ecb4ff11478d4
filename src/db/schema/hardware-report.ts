/**
 * Tag HardwareReport: the machine's agent found this hardware.
 *
 * Written when a heartbeat carries a report that differs from the stored one. Goes with the machine.
 */
import { pgTable, timestamp, uuid } from "drizzle-orm/pg-core";
import { bytea } from "./columns.ts";
import { machine } from "./machine.ts";

export const hardwareReport = pgTable("hardware_report", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  /** When this report first arrived. */
  reportedAt: timestamp({ withTimezone: true }).notNull(),
  /** A cloud.bmaas.server.api.AgentHardwareReport in protobuf's binary form. */
  report: bytea().notNull(),
});
