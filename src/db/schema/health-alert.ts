/**
 * Tag HealthAlert: a program, or the machine's agent, has found a problem with this machine.
 *
 * A source's alerts are written together: by operators' calls, which hold the machine's row and that of its agent, or,
 * for the source "agent", by a heartbeat, which holds the agent's row. An alert counts until `until`; whoever reads it
 * compares with now(). The next write of its source deletes it.
 */
import { sql } from "drizzle-orm";
import { boolean, check, index, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

/** Severities, least severe first. */
export const healthSeverities = ["info", "warning", "critical"] as const;

/** The source of alerts that the machine's agent reports. */
export const agentSource = "agent";

export const healthAlert = pgTable(
  "health_alert",
  {
    machineId: uuid()
      .notNull()
      .references(() => machine.id, { onDelete: "cascade" }),
    /** The program that put it. */
    source: text().notNull(),
    /** What kind of problem it is. */
    alertId: text().notNull(),
    /** The part of the machine that has the problem; empty for the whole machine. */
    target: text().notNull(),
    severity: text({ enum: healthSeverities }).notNull(),
    message: text().notNull(),
    /** Whether no installation is requested of the machine or given to its agent. */
    blocksInstall: boolean().notNull(),
    /** Whether monitoring leaves the machine out. */
    mutes: boolean().notNull(),
    /** Since when its source has put it without a gap. */
    since: timestamptz().notNull(),
    /** Time at which it ends unless its source puts it again. */
    until: timestamptz().notNull(),
  },
  (table) => [
    primaryKey({
      name: "health_alert_pkey",
      columns: [table.machineId, table.source, table.alertId, table.target],
    }),
    index("health_alert_blocking_idx").on(table.machineId).where(sql`${table.blocksInstall}`),
    index("health_alert_muting_idx").on(table.machineId).where(sql`${table.mutes}`),
    check("health_alert_severity_check", sql`${table.severity} in ('info', 'warning', 'critical')`),
  ],
);

/** Returns the SQL condition that the health_alert row `alert` counts now. */
export function isLiving(alert: string): string {
  return `${alert}.until > now()`;
}
