/**
 * Earlier boot ids and serial numbers that a machine's agent stated. One that comes back reveals two machines with one
 * key.
 *
 * Written by a heartbeat whose value differs from the one before. Deleted with the agent's key.
 */
import { sql } from "drizzle-orm";
import { pgTable, text, uuid } from "drizzle-orm/pg-core";
import { machine } from "./machine.ts";

export const agentPast = pgTable("agent_past", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  /** The boot ids before agent_heartbeat.boot_id, each once, the most recently replaced one last. At most 16. */
  bootIds: text().array().notNull().default(sql`'{}'::text[]`),
  /**
   * The serial numbers before hardware_report.serial_number, each once, the most recently replaced one last. At most
   * 16.
   */
  serialNumbers: text().array().notNull().default(sql`'{}'::text[]`),
});
