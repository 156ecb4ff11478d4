/**
 * How long machines may be in a state: one row for each state with a limit. Each server replaces all rows at its start
 * by those of its settings, so that every process, every view and every watcher judges machines by the same limits.
 */
import { sql } from "drizzle-orm";
import { bigint, check, pgTable, text } from "drizzle-orm/pg-core";
import { isHolding } from "./machine-hold.ts";
import { selectMutedMachines } from "./machine-muted.ts";

export const stateLimit = pgTable(
  "state_limit",
  {
    /** A state of machine_state. */
    state: text().primaryKey(),
    /** How long machines may be in it. */
    seconds: bigint({ mode: "number" }).notNull(),
  },
  (table) => [check("state_limit_seconds_check", sql`${table.seconds} > 0`)],
);

/** Returns the SQL condition that a machine which has been in its state since `since` has exceeded a limit. */
export function isPastLimit(since: string, seconds: string): string {
  return `${since} <= now() - make_interval(secs => ${seconds})`;
}

/**
 * Returns the SQL condition that the row `state` of machine_state has exceeded the row `limit` of state_limit, and that
 * nobody holds the machine. Without the CASE, PostgreSQL would look for a hold before it looks for a limit.
 */
export function isOverLimit(state: string, limit: string): string {
  return `${limit}.state = ${state}.state
     and case when ${isPastLimit(`${state}.since`, `${limit}.seconds`)} then not exists (
           select from machine_hold hold where hold.machine_id = ${state}.machine_id and ${isHolding("hold")}) end`;
}

/** Returns the SQL expression of the time at which the row `state` of machine_state exceeded the row `limit`. */
export function overLimitSince(state: string, limit: string): string {
  return `${state}.since + make_interval(secs => ${limit}.seconds)`;
}

/**
 * Returns a scalar subquery in SQL: when the row `state` of machine_state exceeded the limit of its state; null if it
 * has not, if the state has none, or if the machine is held or left out of monitoring. This alone decides which
 * machines have been in their state for too long.
 */
export function selectOverdueSince(state: string): string {
  return `(
  select ${overLimitSince(state, "state_limit")} from state_limit
   where ${isOverLimit(state, "state_limit")}
     and not exists (select from (${selectMutedMachines}) muted where muted.machine_id = ${state}.machine_id))`;
}
