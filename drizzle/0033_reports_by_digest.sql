DROP VIEW "public"."machine_issue";--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "identifiers_digest" "bytea";--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "digested_at" timestamp with time zone;--> statement-breakpoint
CREATE VIEW "public"."machine_issue" AS (
select issue.machine_id, issue.type, issue.severity, issue.since, issue.target, coalesce(issue.detail, '') as detail,
       issue.of_state
  from (
  select state.machine_id, issue.type, issue.severity, issue.since, ''::text as target, issue.detail,
         true as of_state
    from (select distinct on (each.machine_id) each.* from (
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
  left join installation_state open on open.machine_id = machine.id and open.is_open) each) state
   cross join lateral (
    select kind.type, kind.severity, state.since + kind.min_age as since,
           case kind.type when 'installation_failed' then (select 'installation ' || report.generation || coalesce(': ' || nullif(left(regexp_replace(report.error, '[[:cntrl:][:space:]]+', ' ', 'g'), 200), ''), '')
                from os_installation_report report where report.machine_id = state.machine_id)
                when 'installation_overdue' then 'installation ' || state.open_generation
                when 'installation_pending_long' then 'installation ' || state.open_generation
                when 'agent_silent' then (select 'last heard ' || coalesce(to_char(heartbeat.heartbeat_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), heartbeat.heartbeat_at::text)
                from agent_heartbeat heartbeat where heartbeat.machine_id = state.machine_id)
                when 'never_heartbeated' then ''::text end as detail
      from (values ('installation_failed', 'installation_failed', 'warning', interval '0'),
                   ('installation_overdue', 'installation_overdue', 'warning', interval '0'),
                   ('installation_pending', 'installation_pending_long', 'warning', interval '15 minutes'),
                   ('stale', 'agent_silent', 'warning', interval '0'),
                   ('never_heartbeated', 'never_heartbeated', 'info', coalesce((select make_interval(secs => seconds) from state_limit
                                      where state_limit.state = 'never_heartbeated'), interval '15 minutes'))) kind (state, type, severity, min_age)
     where kind.state = state.state and (kind.min_age = interval '0' or state.since <= now() - kind.min_age)
     union all
    select 'state_overdue'::text as type, 'warning'::text as severity, state.since + make_interval(secs => state_limit.seconds) as since, state.state || ' since ' || coalesce(to_char(state.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), state.since::text) as detail
      from state_limit where state_limit.state = state.state
     and case when state.since <= now() - make_interval(secs => state_limit.seconds) then not exists (
           select from machine_hold hold where hold.machine_id = state.machine_id and (hold.until is null or hold.until > now())) end) issue
  union all
  select finding.machine_id, finding.type, case finding.type when 'disk_failing' then 'critical' when 'serial_number_changed' then 'warning' when 'memory_reduced' then 'warning' when 'disk_missing' then 'warning' when 'disk_worn' then 'warning' when 'media_errors_growing' then 'warning' when 'interface_missing' then 'warning' when 'link_down' then 'warning' when 'hardware_warning' then 'info' end as severity, finding.since,
         finding.target, finding.detail, false as of_state
    from machine_finding finding where (finding.until is null or finding.until > now())
  union all
  select shared.machine_id, case shared.kind when 'serial_number' then 'shared_serial_number' when 'board_serial_number' then 'shared_serial_number' when 'system_uuid' then 'shared_system_uuid' when 'mac' then 'shared_mac' when 'disk_serial_number' then 'shared_disk' when 'disk_wwn' then 'shared_disk' end as type, case shared.kind when 'serial_number' then 'warning' when 'board_serial_number' then 'warning' when 'system_uuid' then 'warning' when 'mac' then 'warning' when 'disk_serial_number' then 'warning' when 'disk_wwn' then 'warning' end as severity, shared.since,
         case shared.kind when 'serial_number' then 'serial number' when 'board_serial_number' then 'board''s serial number' when 'system_uuid' then 'UUID' when 'mac' then 'MAC' when 'disk_serial_number' then 'disk''s serial number' when 'disk_wwn' then 'disk''s WWN' end || ' ' || left(regexp_replace(shared.shown, '[[:cntrl:][:space:]]+', ' ', 'g'), 200) as target,
         'also of machine ' || shared.other_machine_id as detail, false as of_state
    from (
select held.machine_id, held.kind, held.value, held.shown, held.part, other.machine_id as other_machine_id,
       greatest(held.since, other.since) as since
  from (
    select machine_id, kind, value, scope, shown, part, since
      from machine_identifier where is_shared and gone_at is null
    union all
    select changed.machine_id, kind, value, scope, shown, part, since
      from uncompared_machine changed
      join machine_identifier identifier on identifier.machine_id = changed.machine_id
     where gone_at is null and not is_shared
  ) held
 cross join lateral (
    select machine_id, since from machine_identifier other
     where other.value = held.value and other.kind = held.kind and other.scope = held.scope
       and other.gone_at is null and other.machine_id <> held.machine_id
     order by machine_id limit 1
  ) other) shared where shared.kind in ('serial_number', 'board_serial_number', 'system_uuid', 'mac', 'disk_serial_number', 'disk_wwn')
  union all
  select found.machine_id, 'duplicate_agent'::text as type, 'critical'::text as severity, found.since, found.target, found.detail,
         false as of_state
    from (
select machine_id, since, ''::text as target,
       case sign when 'boot_id' then 'boot id' else 'serial number' end || ' "' || left(regexp_replace(value, '[[:cntrl:][:space:]]+', ' ', 'g'), 200)
         || '" came back after "' || left(regexp_replace(other_value, '[[:cntrl:][:space:]]+', ' ', 'g'), 200) || '"' as detail
  from duplicate_agent duplicate where duplicate.until > now()) found
  union all
  select found.machine_id, 'undecodable_request'::text as type, 'critical'::text as severity, found.since, found.target, found.detail,
         false as of_state
    from (
select machine_id, undecodable_at as since, ''::text as target, 'installation ' || generation as detail
  from os_installation_request request
 where undecodable_at is not null and request.finished_at is null and request.cancelled_at is null and request.superseded_at is null
   and (last_given_at is null or last_given_at < undecodable_at)) found
  union all
  select found.machine_id, 'health'::text as type, found.severity as severity, found.since, found.target, found.detail,
         false as of_state
    from (
select machine_id, severity, since,
       alert_id || case target when '' then '' else ' of ' || target end || ' from ' || source as target,
       left(regexp_replace(message, '[[:cntrl:][:space:]]+', ' ', 'g'), 200) || case when blocks_install then ' (blocks installations)' else '' end as detail
  from health_alert alert where alert.until > now()) found
  union all
  select found.machine_id, 'key_refused'::text as type, 'warning'::text as severity, found.since, found.target, found.detail,
         false as of_state
    from (
select machine_id, since, ''::text as target,
       coalesce('key ' || encode(public_key, 'hex'), 'a signature of another key')
         || coalesce(', from ' || left(regexp_replace(address, '[[:cntrl:][:space:]]+', ' ', 'g'), 200), '') || ', last ' || coalesce(to_char(seen_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), seen_at::text) as detail
  from refused_key refused where refused.until > now()) found
  union all
  select found.machine_id, 'report_refused'::text as type, 'warning'::text as severity, found.since, found.target, found.detail,
         false as of_state
    from (
select refused.machine_id, refused.since, ''::text as target, 'installation ' || refused.generation as detail
  from refused_report refused join agent_heartbeat heartbeat on heartbeat.machine_id = refused.machine_id
 where refused.refused_at >= heartbeat.heartbeat_at) found
  union all
  select found.machine_id, 'receiver_failing'::text as type, 'warning'::text as severity, found.since, found.target, found.detail,
         false as of_state
    from (
select null::uuid as machine_id, least(case when receiver.failing_since <= now() - interval '1 day' then receiver.failing_since + interval '1 day' end,
             case when receiver.gave_up_at > now() - interval '1 day' then receiver.giving_up_since end) as since, name as target,
       coalesce(left(regexp_replace(last_error, '[[:cntrl:][:space:]]+', ' ', 'g'), 200), '') as detail
  from receiver where (receiver.failing_since <= now() - interval '1 day' or receiver.gave_up_at > now() - interval '1 day') is true) found
  union all
  select found.machine_id, 'boot_loop'::text as type, 'warning'::text as severity, found.since, found.target, found.detail,
         false as of_state
    from (
select machine_id, loop_since as since, ''::text as target,
       'booted ' || loop_boots || ' times between ' || coalesce(to_char(loop_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), loop_since::text) || ' and ' || coalesce(to_char(last_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), last_at::text) as detail
  from agent_boots boots where (boots.loop_since is not null and boots.last_at > now() - interval '30 minutes')) found
  union all
  select found.machine_id, 'agent_outdated'::text as type, 'info'::text as severity, found.since, found.target, found.detail,
         false as of_state
    from (
select machine_id, outdated_since as since, ''::text as target, 'version ' || left(regexp_replace(agent_version, '[[:cntrl:][:space:]]+', ' ', 'g'), 200) as detail
  from agent_heartbeat heartbeat where outdated_since is not null) found
  union all
  select found.machine_id, 'hold_ending'::text as type, 'info'::text as severity, found.since, found.target, found.detail,
         false as of_state
    from (
select machine_id, until - least(interval '1 hour', (hold.until - hold.held_at) / 4) as since, ''::text as target,
       'held by ' || held_by || ' until ' || coalesce(to_char(until at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), until::text) || ': ' || left(regexp_replace(reason, '[[:cntrl:][:space:]]+', ' ', 'g'), 200) as detail
  from machine_hold hold where (hold.until is null or hold.until > now()) and until - least(interval '1 hour', (hold.until - hold.held_at) / 4) <= now()) found) issue
 where not exists (select from (
select hold.machine_id from machine_hold hold where hold.is_muted and (hold.until is null or hold.until > now())
union
select alert.machine_id from health_alert alert where alert.mutes and alert.until > now()) muted where muted.machine_id = issue.machine_id));