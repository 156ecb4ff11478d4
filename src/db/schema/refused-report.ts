/**
 * Tag RefusedReport: the machine's agent has reported an installation that it was never given here, or its progress.
 *
 * The agent may be right: rows can be lost with a restored database. What it has carried out it does not carry out
 * again, and it may repeat the report, so no request is ever made or given under such a generation. Written by
 * heartbeats. Goes with the machine, and what it says of generations then stays in deleted_machine.
 */
import { bigint, pgTable, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const refusedReport = pgTable("refused_report", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  /** The generation that was told of last. */
  generation: bigint({ mode: "bigint" }).notNull(),
  /**
   * The greatest generation told of that the machine's requests may have come to; 0 when there is none. New ones
   * exceed it.
   */
  floor: bigint({ mode: "bigint" }).notNull(),
  /** When the last such report or progress came. */
  refusedAt: timestamptz().notNull(),
});
