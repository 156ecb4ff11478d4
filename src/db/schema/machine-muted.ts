/**
 * The view that alone decides which machines monitoring leaves out: those with a muted hold or a health alert that
 * mutes. One row for each machine.
 */
import { sql } from "drizzle-orm";
import { pgView, uuid } from "drizzle-orm/pg-core";
import { isLiving } from "./health-alert.ts";
import { isHolding } from "./machine-hold.ts";

/** The query of the view, which other views contain, so that a migration can replace either. */
export const selectMutedMachines = `
select hold.machine_id from machine_hold hold where hold.is_muted and ${isHolding("hold")}
union
select alert.machine_id from health_alert alert where alert.mutes and ${isLiving("alert")}`;

export const machineMuted = pgView("machine_muted", {
  machineId: uuid("machine_id").notNull(),
}).as(sql.raw(selectMutedMachines));
