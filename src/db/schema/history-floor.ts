/**
 * Position up to which the history was pruned: one row, or none while everything is kept. Written by retention, so that
 * a watcher which returns with an older position learns that changes are missing.
 */
import { sql } from "drizzle-orm";
import { bigint, boolean, check, pgTable } from "drizzle-orm/pg-core";
import { xid8 } from "./columns.ts";

export const historyFloor = pgTable(
  "history_floor",
  {
    /** Always true. */
    only: boolean().primaryKey().default(true),
    /** Position of the greatest row that was deleted. */
    transaction: xid8().notNull(),
    historyId: bigint({ mode: "bigint" }).notNull(),
  },
  (table) => [check("history_floor_only_check", sql`${table.only}`)],
);
