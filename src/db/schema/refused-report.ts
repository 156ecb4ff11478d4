/**
 * Tag RefusedReport: the machine's agent has reported an installation, or its progress, that this database never gave
 * it.
 *
 * The report may be true: a restored database can lack rows. The agent does not repeat an installation that it has
 * carried out, and may send the report again, so no request is made or first given up to such a generation. Written by
 * heartbeats. Deleted with the machine; deleted_machine then keeps the generation.
 */
import { sql } from "drizzle-orm";
import { bigint, pgTable, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const refusedReport = pgTable("refused_report", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  /** The generation reported last. */
  generation: bigint({ mode: "bigint" }).notNull(),
  /** The greatest reported generation that lost requests can explain; 0 if there is none. New generations exceed it. */
  floor: bigint({ mode: "bigint" }).notNull(),
  /** Time of the last such report or progress. */
  refusedAt: timestamptz().notNull(),
  /** Time of the first one with the same generation. */
  since: timestamptz().notNull().default(sql`now()`),
});

/**
 * Returns the SQL condition that the refused_report row `refused` was written by the last heartbeat, the
 * agent_heartbeat row `heartbeat`.
 */
export function isRefusedNow(refused: string, heartbeat: string): string {
  return `${refused}.refused_at >= ${heartbeat}.heartbeat_at`;
}
