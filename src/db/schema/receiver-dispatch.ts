/**
 * The dispatcher: which process sends events to receivers, and up to where it has read them. One row, made when it is
 * first needed.
 *
 * `holder` is a lease. The process that has it renews it; when it dies, the lease ends by time, and another process
 * takes it. Whoever reads events locks the row, so that two processes never read the same ones.
 */
import { sql } from "drizzle-orm";
import { bigint, boolean, check, pgTable, uuid } from "drizzle-orm/pg-core";
import { timestamptz, xid8 } from "./columns.ts";

export const receiverDispatch = pgTable(
  "receiver_dispatch",
  {
    /** Always true. */
    only: boolean().primaryKey().default(true),
    /** The process that has the lease; null when none has. */
    holder: uuid(),
    /** When the lease ends unless it is renewed. */
    heldUntil: timestamptz(),
    /** Position in the history up to which events have become deliveries. */
    transaction: xid8().notNull().default(sql`pg_snapshot_xmin(pg_current_snapshot())`),
    historyId: bigint({ mode: "bigint" }).notNull().default(sql`0`),
  },
  (table) => [check("receiver_dispatch_only_check", sql`${table.only}`)],
);
