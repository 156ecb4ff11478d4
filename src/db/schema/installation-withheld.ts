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
 * use its id and key, or its agent reported the request's generation, or a later one, before it was given that; the
 * newest hardware report does not show the request's disk, was stored by a server that did not look for it, or shows
 * another serial number or UUID of the machine than when the disk was chosen; the agent that last asked for it may know
 * disks by name only, and the report is not of its process; the machine was given too many installations recently; or
 * the database has failed over or been restored since the request, and may have lost its outcome.
 */
const withholdingReasons = [
  "held",
  "unhealthy",
  "duplicate_agent",
  "reported_before_given",
  "disk_gone",
  "disks_unknown",
  "serial_number_changed",
  "system_uuid_changed",
  "disk_names_unconfirmed",
  "reinstall_limit",
  "restored",
] as const;

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
 where ${sql.raw(isOpen("request"))} and request.first_given_at is null
union all
select request.machine_id, request.generation, 'restored', null
  from os_installation_request request
 where ${sql.raw(isOpen("request"))} and request.lineage is distinct from (select database_lineage())
   and request.lineage is not null
union all
select request.machine_id, request.generation, found.reason, found.until
  from os_installation_request request
  cross join lateral (
    select changed.reason, null::timestamptz as until
      from (select) one
      left join lateral (
        select reported_at, inventoried_at, disks, serial_number, system_uuid, reported_by
          from hardware_report hardware where hardware.machine_id = request.machine_id limit 1
      ) hardware on true
      cross join lateral (
        select case when hardware.inventoried_at is distinct from hardware.reported_at or hardware.reported_at is null
                      then 'disks_unknown'
                    when hardware.disks ->> request.disk_id is null then 'disk_gone' end
        union all
        select 'serial_number_changed' where hardware.serial_number is distinct from request.machine_serial_number
           and request.machine_serial_number is not null
        union all
        select 'system_uuid_changed' where hardware.system_uuid is distinct from request.machine_system_uuid
           and request.machine_system_uuid is not null
        union all
        select 'disk_names_unconfirmed' where hardware.reported_by is distinct from request.refused_to
           and request.refused_to is not null
      ) changed (reason)
     where request.disk_id is not null and changed.reason is not null
    union all
    select 'reinstall_limit', limiting.until
      from (
        select past.first_given_at + make_interval(secs => request.reinstall_window_seconds) as until
          from os_installation_request past
         where past.machine_id = request.machine_id and past.generation < request.generation
           and past.first_given_at > now() - make_interval(secs => request.reinstall_window_seconds)
           and past.generation >= coalesce(
             (select own.generation from os_installation_request own
               where own.machine_id = request.machine_id and own.generation < request.generation
                 and own.reinstall_limit is null
               order by own.generation desc limit 1), 0)
         order by past.first_given_at desc offset request.reinstall_limit - 1 limit 1
      ) limiting
     where request.reinstall_limit is not null and request.first_given_at is null
  ) found
 where ${sql.raw(isOpen("request"))} and (request.disk_id is not null or request.reinstall_limit is not null)`);
