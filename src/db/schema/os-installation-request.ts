/**
 * Tag OSInstallationRequest: an operator asked for this installation on this machine.
 *
 * One row per generation, kept for as long as the machine: a report is only believed for a generation that was requested, and a
 * new generation must exceed all of them. The greatest generation is the machine's request; it is pending until a report of it
 * was accepted. Written by operators, holding the machine's row; never deleted, so that no generation is ever given out twice.
 */
import { sql } from "drizzle-orm";
import { bigint, check, pgTable, primaryKey, text, timestamp, uuid } from "drizzle-orm/pg-core";
import { bytea } from "./columns.ts";
import { machine } from "./machine.ts";

export const osInstallationRequest = pgTable(
  "os_installation_request",
  {
    machineId: uuid()
      .notNull()
      .references(() => machine.id, { onDelete: "cascade" }),
    generation: bigint({ mode: "bigint" }).notNull(),
    requestedAt: timestamp({ withTimezone: true }).notNull().defaultNow(),
    requestedBy: text().notNull(),
    /** When an operator took the request back; no agent is given it from then on. */
    cancelledAt: timestamp({ withTimezone: true }),
    /** A cloud.bmaas.server.api.OSInstallationRequest in protobuf's binary form. */
    request: bytea().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.machineId, table.generation] }),
    check("os_installation_request_generation_check", sql`${table.generation} > 0`),
  ],
);
