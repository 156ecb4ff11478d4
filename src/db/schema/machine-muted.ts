/**
 * The view that alone decides which machines monitoring leaves out: those with a muted hold or a health alert that
 * mutes. One row for each machine.
 */
import { sql } from "drizzle-orm";
import { pgView, uuid } from "drizzle-orm/pg-core";
import { isLiving } from "./health-alert.ts";
import { isHolding } from "./machine-hold.ts";

export const machineMuted = pgView("machine_muted", {
  machineId: uuid("machine_id").notNull(),
}).as(sql`
select hold.machine_id from machine_hold hold where hold.is_muted and ${sql.raw(isHolding("hold"))}
union
select alert.machine_id from health_alert alert where alert.mutes and ${sql.raw(isLiving("alert"))}`);
