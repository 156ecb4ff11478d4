DROP VIEW "public"."installation_withheld";--> statement-breakpoint
CREATE VIEW "public"."installation_withheld" AS (
select request.machine_id, request.generation, 'held' as reason, hold.until
  from os_installation_request request
  join machine_hold hold on hold.machine_id = request.machine_id and (hold.until is null or hold.until > now())
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
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null and request.first_given_at is null);