/**
 * What a machine's agent said of itself before: by a value that comes back, two machines with one key give themselves
 * away.
 *
 * Written by the heartbeat that says something else than the one before. Goes with the agent's key.
 */
import { sql } from "drizzle-orm";
import { pgTable, text, uuid } from "drizzle-orm/pg-core";
import { machine } from "./machine.ts";

export const agentPast = pgTable("agent_past", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  /** The boot ids before agent_heartbeat.boot_id, each once, the one that was left last at the end; 16 at most. */
  bootIds: text().array().notNull().default(sql`'{}'::text[]`),
  /** The serial numbers before hardware_report.serial_number, in the same way. */
  serialNumbers: text().array().notNull().default(sql`'{}'::text[]`),
});
