-- Which course of which database this is, as src/db/queries/history-position.ts says. The owner's privileges count, so that every
-- role gets the same answer.
CREATE FUNCTION "public"."database_lineage"() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
declare
  timeline text := 'standby';
begin
  begin
    if not pg_is_in_recovery() then timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8); end if;
  exception when others then
    return '';
  end;
  return (select system_identifier from pg_control_system()) || '-' || timeline;
exception when others then
  return timeline;
end $$;--> statement-breakpoint
DROP VIEW "public"."installation_withheld";--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "reported_by" "bytea";--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "lineage" text DEFAULT database_lineage();--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "refused_to" "bytea";--> statement-breakpoint
CREATE VIEW "public"."installation_withheld" AS (
select request.machine_id, request.generation, 'held' as reason, hold.until
  from os_installation_request request
  join machine_hold hold on hold.machine_id = request.machine_id and (hold.until is null or hold.until > now())
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null
union all
select request.machine_id, request.generation, 'unhealthy', alert.until
  from os_installation_request request
  join health_alert alert
    on alert.machine_id = request.machine_id and alert.blocks_install and alert.until > now()
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null
union all
select request.machine_id, request.generation, 'duplicate_agent', duplicate.until
  from os_installation_request request
  join duplicate_agent duplicate on duplicate.machine_id = request.machine_id and duplicate.until > now()
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null
union all
select request.machine_id, request.generation, 'reported_before_given', null
  from os_installation_request request
  join refused_report refused
    on refused.machine_id = request.machine_id
   and (request.generation <= refused.floor or request.generation = refused.generation)
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null and request.first_given_at is null
union all
select request.machine_id, request.generation, 'restored', null
  from os_installation_request request
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null and request.lineage is distinct from (select database_lineage())
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
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null and (request.disk_id is not null or request.reinstall_limit is not null));