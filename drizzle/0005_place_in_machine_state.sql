DROP VIEW "public"."machine_state";--> statement-breakpoint
CREATE VIEW "public"."machine_state" AS (
select machine.id as machine_id,
       case when open.state = 'pending' then 'installation_pending'
            when open.state = 'given' then 'installation_given'
            when open.state = 'installing' then 'installing'
            when open.state = 'overdue' then 'installation_overdue'
            when report.result = 'error' then 'installation_failed'
            when report.result = 'success' then 'installed'
            when agent.machine_id is null and provided.machine_id is null then 'not_provided'
            when agent.machine_id is null then 'no_agent'
            when heartbeat.machine_id is null then 'never_heartbeated'
            when heartbeat.quiet_until < now() then 'stale'
            else 'heartbeating' end as state,
       case when open.state is not null then open.since
            when report.result is not null then report.reported_at
            when agent.machine_id is null then greatest(
              machine.created_at, machine.agent_revoked_at, coalesce(provided.provided_at, machine.unprovided_at))
            when heartbeat.machine_id is null then agent.started_at
            when heartbeat.quiet_until < now() then heartbeat.quiet_until
            else heartbeat.alive_since end as since,
       open.generation as open_generation,
       provided.provider as provider,
       provided.location as location
  from machine
  left join provided on provided.machine_id = machine.id
  left join agent_started agent on agent.machine_id = machine.id
  left join agent_heartbeat heartbeat on heartbeat.machine_id = machine.id
  left join os_installation_report report on report.machine_id = machine.id
  left join installation_state open on open.machine_id = machine.id and open.is_open);