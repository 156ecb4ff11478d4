/**
 * Tag OSInstallationRequest: an operator requested this installation on this machine.
 *
 * One row per generation, kept as long as the machine: the server accepts a report only of a requested generation, and
 * a new generation must exceed all earlier ones. It is never deleted alone, so that no generation is ever used twice.
 * Operators write it while they hold the machine's row. Heartbeats record deliveries, progress and outcomes.
 *
 * A request is open until it is finished, cancelled or superseded. A machine has one open request at most, its newest.
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  check,
  index,
  integer,
  pgTable,
  primaryKey,
  smallint,
  text,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";
import { installationResults } from "./os-installation-report.ts";

/**
 * Returns the SQL condition that a request is open: neither finished nor cancelled nor superseded. A machine has one
 * open request at most, found by the partial index os_installation_request_open_key. `request` is the table's name or
 * alias in the statement; if it is quoted, so are its columns.
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
    /** When an operator cancelled the request. No agent is given it from then on. */
    cancelledAt: timestamptz(),
    cancelledBy: text(),
    /** When a newer request replaced this one. */
    supersededAt: timestamptz(),
    /** When an agent was first and last given the request, and how often. */
    firstGivenAt: timestamptz(),
    lastGivenAt: timestamptz(),
    timesGiven: bigint({ mode: "bigint" }).notNull().default(sql`0`),
    /** When the agent first reported that it is installing. */
    startedAt: timestamptz(),
    /** The agent's last report of progress, and when it came. */
    progressAt: timestamptz(),
    phase: text(),
    percent: smallint(),
    /**
     * Until when the agent may be silent before the installation is overdue. The first delivery and each report of
     * progress set it.
     */
    dueAt: timestamptz(),
    /** When a server first found that it cannot decode the request, so that the agent is not given it. */
    undecodableAt: timestamptz(),
    /** When the report of this generation was accepted, and its outcome. */
    finishedAt: timestamptz(),
    result: text({ enum: installationResults }),
    /** The agent's error message; set exactly when the result is an error. */
    error: text(),
    /** A cloud.bmaas.server.api.OSInstallationRequest in protobuf's binary form. */
    request: bytea().notNull(),
    /**
     * How the operator named the disk, and what identifies the disk that this led to, as in hardware_report.disks. Null
     * if the disk was named without regard to a hardware report.
     */
    diskSelector: text(),
    diskId: text(),
    /** Serial number and UUID of the machine in the hardware report that the disk was found in. */
    machineSerialNumber: text(),
    machineSystemUuid: text(),
    /**
     * Limit on the installations that are given to the machine within the window up to this one, since the last request
     * that an operator made for this machine alone. Null for such a request, which has no limit.
     */
    reinstallLimit: integer(),
    reinstallWindowSeconds: integer(),
    /** The lineage of the database in which the request was made, as the function database_lineage() tells it. */
    lineage: text().default(sql`database_lineage()`),
    /**
     * The agent's process that was not given the request, because the names of the disks may have changed since the
     * newest hardware report, which is of another process; as in hardware_report.reported_by. Null once the request was
     * given.
     */
    refusedTo: bytea(),
  },
  (table) => [
    primaryKey({ columns: [table.machineId, table.generation] }),
    uniqueIndex("os_installation_request_open_key")
      .on(table.machineId)
      .where(sql.raw(isOpen('"os_installation_request"'))),
    // Lists of all installations, and of failed ones, are ordered by machine and then newest first.
    index("os_installation_request_newest_idx").on(table.machineId, table.generation.desc().nullsFirst()),
    index("os_installation_request_failed_idx")
      .on(table.machineId, table.generation.desc().nullsFirst())
      .where(sql`${table.result} = 'error'`),
    // For finding the few requests that no server can decode.
    index("os_installation_request_undecodable_idx").on(table.machineId).where(sql`undecodable_at is not null`),
    check("os_installation_request_generation_check", sql`${table.generation} > 0`),
    check("os_installation_request_percent_check", sql`${table.percent} between 0 and 100`),
    check(
      "os_installation_request_result_check",
      sql`(${table.finishedAt} is not null) = (${table.result} is not null) and (${table.error} is not null) = (${table.result} is not distinct from 'error')`,
    ),
  ],
);
