/**
 * Tag AgentBoots: when the machine booted lately, as its agent's boot ids show.
 *
 * Written by a heartbeat whose boot id differs from the one before, unless that id has returned, which is no boot.
 * Deleted with the agent's key.
 */
import { sql } from "drizzle-orm";
import { bigint, index, integer, pgTable, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const agentBoots = pgTable(
  "agent_boots",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    /** The row of machine_history that has the latest run of boots. */
    historyId: bigint({ mode: "bigint" }).notNull(),
    /** Time of the first boot of that run. */
    runBeganAt: timestamptz().notNull(),
    /** Number of boots in that run. */
    runBoots: integer().notNull(),
    /** Time of the last boot. */
    lastAt: timestamptz().notNull(),
    /** Time of the boot before that; null if there was none. */
    secondLastAt: timestamptz(),
    /**
     * Time of the first boot of the boot loop that the last boot belongs to, and the number of boots since; null if it
     * belongs to none. A boot belongs to one if it is the third within `bootLoopPeriod`.
     */
    loopSince: timestamptz(),
    loopBoots: integer(),
  },
  (table) => [index("agent_boots_loop_idx").on(table.machineId).where(sql`${table.loopSince} is not null`)],
);

/** Three boots within this time are a boot loop: an interval in SQL. */
export const bootLoopPeriod = "interval '30 minutes'";

/**
 * Returns the SQL condition that a machine is in a boot loop: its last boot belongs to one, and is not longer ago than
 * `bootLoopPeriod`. `boots` names a row of agent_boots. A partial index has the machines with `loop_since`.
 */
export function isBootLoop(boots: string): string {
  return `(${boots}.loop_since is not null and ${boots}.last_at > now() - ${bootLoopPeriod})`;
}
