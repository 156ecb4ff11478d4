/**
 * Tag OSInstallationRequest: an operator asked for this installation on this machine.
 *
 * One row per generation, kept for as long as the machine: a report is only believed for a generation that was requested, and a
 * new generation must exceed all of them. The greatest generation is the machine's request; it is pending until a report of it
 * was accepted. Written by operators, holding the machine's row, and by heartbeats, as far as an agent was given it, tells of its
 * progress and reports its outcome; never deleted, so that no generation is ever given out twice.
 *
 * A request is open until it is finished, cancelled or superseded; a machine has one open request at most.
 */
import { sql } from "drizzle-orm";
import { bigint, check, index, pgTable, primaryKey, smallint, text, uniqueIndex, uuid } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";
import { installationResults } from "./os-installation-report.ts";

/**
 * Returns the SQL condition that a request is open: neither finished nor cancelled nor superseded. A machine has one open request at
 * most, found by the partial index os_installation_request_open_key. `request` is the table's name or alias in the statement, and
 * its columns are quoted where it is.
 */
export function isOpen(request: string): string {
  const quote = request.startsWith('"') ? '"' : "";
  return ["finished_at", "cancelled_at", "superseded_at"]
    .map((column) => `${request}.${quote}${column}${quote} is null`)
    .join(" and ");
}

export const osInstallationRequest = pgTable(
  "os_installation_request",
  {
    machineId: uuid()
      .notNull()
      .references(() => machine.id, { onDelete: "cascade" }),
    generation: bigint({ mode: "bigint" }).notNull(),
    requestedAt: timestamptz().notNull().default(sql`now()`),
    requestedBy: text().notNull(),
    /** When an operator took the request back; no agent is given it from then on. */
    cancelledAt: timestamptz(),
    cancelledBy: text(),
    /** When a newer request took this one's place. */
    supersededAt: timestamptz(),
    /** When an agent was first and last given the request, and how often. */
    firstGivenAt: timestamptz(),
    lastGivenAt: timestamptz(),
    timesGiven: bigint({ mode: "bigint" }).notNull().default(sql`0`),
    /** When the agent first said that it installs. */
    startedAt: timestamptz(),
    /** When the agent last told of its progress, and what it said. */
    progressAt: timestamptz(),
    phase: text(),
    percent: smallint(),
    /** Until when the agent may say nothing before the installation is overdue; set when it is first given the request. */
    dueAt: timestamptz(),
    /** When a report of this generation was accepted, and how it ended. */
    finishedAt: timestamptz(),
    result: text({ enum: installationResults }),
    /** What the agent said went wrong; set exactly when the result is an error. */
    error: text(),
    /** A cloud.bmaas.server.api.OSInstallationRequest in protobuf's binary form. */
    request: bytea().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.machineId, table.generation] }),
    uniqueIndex("os_installation_request_open_key")
      .on(table.machineId)
      .where(sql.raw(isOpen('"os_installation_request"'))),
    // Lists go by machine and then newest first, of all and of those that failed.
    index("os_installation_request_newest_idx").on(table.machineId, table.generation.desc().nullsFirst()),
    index("os_installation_request_failed_idx")
      .on(table.machineId, table.generation.desc().nullsFirst())
      .where(sql`${table.result} = 'error'`),
    check("os_installation_request_generation_check", sql`${table.generation} > 0`),
    check("os_installation_request_percent_check", sql`${table.percent} between 0 and 100`),
    check(
      "os_installation_request_result_check",
      sql`(${table.finishedAt} is not null) = (${table.result} is not null) and (${table.error} is not null) = (${table.result} is not distinct from 'error')`,
    ),
  ],
);
