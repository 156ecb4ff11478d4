/**
 * The view that decides which open requests are given to no agent, and why: one row for each reason, and for each of
 * the alerts that block. Both the statement that records a delivery and explanations read it. Nothing else withholds a
 * request.
 */
import { sql } from "drizzle-orm";
import { bigint, pgView, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { isDuplicated } from "./duplicate-agent.ts";
import { isLiving } from "./health-alert.ts";
import { isHolding } from "./machine-hold.ts";
import { isOpen } from "./os-installation-request.ts";

/**
 * Reasons why a request is withheld: an operator holds the machine, a health alert blocks installations, two machines
 * use its id and key, or its agent reported the request's generation, or a later one, before it was given that.
 */
const withholdingReasons = ["held", "unhealthy", "duplicate_agent", "reported_before_given"] as const;

export const installationWithheld = pgView("installation_withheld", {
  machineId: uuid("machine_id").notNull(),
  generation: bigint("generation", { mode: "bigint" }).notNull(),
  reason: text("reason", { enum: withholdingReasons }).notNull(),
  /** Time at which the reason expires; null if it does not expire. */
  until: timestamptz("until"),
}).as(sql`
select request.machine_id, request.generation, 'held' as reason, hold.until
  from os_installation_request request
  join machine_hold hold on hold.machine_id = request.machine_id and ${sql.raw(isHolding("hold"))}
 where ${sql.raw(isOpen("request"))}
union all
select request.machine_id, request.generation, 'unhealthy', alert.until
  from os_installation_request request
  join health_alert alert
    on alert.machine_id = request.machine_id and alert.blocks_install and ${sql.raw(isLiving("alert"))}
 where ${sql.raw(isOpen("request"))}
union all
select request.machine_id, request.generation, 'duplicate_agent', duplicate.until
  from os_installation_request request
  join duplicate_agent duplicate on duplicate.machine_id = request.machine_id and ${sql.raw(isDuplicated("duplicate"))}
 where ${sql.raw(isOpen("request"))}
union all
select request.machine_id, request.generation, 'reported_before_given', null
  from os_installation_request request
  join refused_report refused
    on refused.machine_id = request.machine_id
   and (request.generation <= refused.floor or request.generation = refused.generation)
 where ${sql.raw(isOpen("request"))} and request.first_given_at is null`);
