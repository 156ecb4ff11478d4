/**
 * The SQL of heartbeats, for many at once, and of the deliveries that follow from them.
 *
 * Rows are looked up machine by machine (`cross join lateral … limit 1`), by the unique index on the machine's id: PostgreSQL cannot join
 * whole tables instead, however its statistics have aged. The input is in machine-id order where rows are locked. Operators who
 * change requests do not hold agent_started, so whoever writes a request here locks it first and judges it as it is then.
 */

/** What makes a request the machine's open one; as the partial index os_installation_request_open_key has it. */
const isOpen = (request: string) =>
  `${request}.finished_at is null and ${request}.cancelled_at is null and ${request}.superseded_at is null`;

/** That no report has reached the request. A server which does not finish requests may have accepted one, before it was replaced. */
const isUnreported = (request: string) =>
  `not exists (select from os_installation_report report
                where report.machine_id = ${request}.machine_id and report.generation >= ${request}.generation)`;

/** Leaves those of `input` that hold their machine's key, and locks that until the end. */
const holdAgent = `
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key limit 1 for no key update
    ) agent`;

/**
 * Authenticates, and takes in that the agents live. $1 machine ids, $2 public keys, $3 nonces, $4 for how many milliseconds silence
 * is normal, $5 agents' versions: arrays of one length, no machine twice with the same key. Returns the slots, the places in the
 * arrays, of those that hold their machine's key. A machine has one key, so the slot keeps whoever else claims it apart.
 *
 * Locks the agent_started rows in machine-id order before anything is written.
 */
export const countHeartbeats = `
with input as (
  select * from unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::integer[], $5::text[])
    with ordinality as input (machine_id, public_key, nonce, quiet_ms, agent_version, slot)
   order by machine_id
), identified as materialized (
  select input.* from input ${holdAgent}
), counted as (
  insert into agent_heartbeat (machine_id, heartbeat_at, alive_since, quiet_until, agent_version, signature_nonce)
  select machine_id, now(), now(), now() + quiet_ms * interval '1 millisecond', agent_version, nonce
    from identified order by machine_id
  on conflict (machine_id) do update
    set heartbeat_at = excluded.heartbeat_at,
        alive_since = case when agent_heartbeat.quiet_until < excluded.alive_since then excluded.alive_since
                           else agent_heartbeat.alive_since end,
        quiet_until = excluded.quiet_until,
        agent_version = coalesce(excluded.agent_version, agent_heartbeat.agent_version),
        signature_nonce = coalesce(excluded.signature_nonce, agent_heartbeat.signature_nonce)
    where excluded.signature_nonce is null
       or agent_heartbeat.signature_nonce is null
       or excluded.signature_nonce > agent_heartbeat.signature_nonce
  returning machine_id
)
select slot, machine_id in (select machine_id from counted) as counted from identified`;

/** Leaves those of `input` that counted: of their machine's key, and with an agent_heartbeat row that this transaction wrote. */
const joinCounted = `
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key limit 1
    ) agent
    cross join lateral (
      select boot_id as known_boot_id from agent_heartbeat heartbeat
       where heartbeat.machine_id = input.machine_id and heartbeat.xmin = (select pg_current_xact_id_if_assigned()::xid) limit 1
    ) heartbeat`;

/**
 * Stores what some heartbeats bring, of those that counted, and returns the slots whose installation report was never requested.
 * $1 machine ids, $2 public keys; $3 to $10 the hardware reports and their figures, $11 to $14 the installation reports, $15 to $18 the
 * progress: arrays of one length, null where there is none.
 *
 * A hardware report that differs takes the stored one's place, which is kept with the eight before it. An installation report counts
 * when it exceeds the stored one, and finishes its request, superseded or cancelled ones too. Progress counts for the open request.
 */
export const storeBrought = `
with brought as materialized (
  select input.*
    from unnest($1::uuid[], $2::bytea[],
                $3::bytea[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::integer[], $9::bigint[], $10::bigint[],
                $11::bigint[], $12::text[], $13::text[], $14::bytea[],
                $15::bigint[], $16::text[], $17::smallint[], $18::integer[])
      with ordinality as input (machine_id, public_key,
                hardware, manufacturer, product, serial_number, memory_bytes, cpu_threads, disk_bytes, largest_disk_bytes,
                reported_generation, result, error, report,
                progress_generation, phase, percent, quiet_ms, slot)
    ${joinCounted}
), hardware_news as materialized (
  select brought.*, stored.reported_at as stored_at, stored.report as stored_hardware,
         stored.report is distinct from brought.hardware as differs
    from brought left join lateral (
      select * from hardware_report stored where stored.machine_id = brought.machine_id limit 1
    ) stored on true
   where brought.hardware is not null
     and (stored.report is distinct from brought.hardware or stored.memory_bytes is null)
), hardware_kept as (
  insert into hardware_report_past (machine_id, reported_at, report)
  select machine_id, stored_at, stored_hardware from hardware_news
   where differs and stored_hardware is not null order by machine_id
), hardware_dropped as (
  delete from hardware_report_past
   where id = any (array(
     select past.id from hardware_news cross join lateral (
       select id from hardware_report_past where hardware_report_past.machine_id = hardware_news.machine_id
        order by id desc offset 8
     ) past where differs))
), hardware_stored as (
  insert into hardware_report (machine_id, reported_at, report, manufacturer, product, serial_number,
                               memory_bytes, cpu_threads, disk_bytes, largest_disk_bytes)
  select machine_id, case when differs then now() else stored_at end, hardware, manufacturer, product, serial_number,
         memory_bytes, cpu_threads, disk_bytes, largest_disk_bytes
    from hardware_news order by machine_id
  on conflict (machine_id) do update
    set reported_at = excluded.reported_at, report = excluded.report, manufacturer = excluded.manufacturer,
        product = excluded.product, serial_number = excluded.serial_number, memory_bytes = excluded.memory_bytes,
        cpu_threads = excluded.cpu_threads, disk_bytes = excluded.disk_bytes,
        largest_disk_bytes = excluded.largest_disk_bytes
), reported as materialized (
  select brought.*, request.generation is not null as requested
    from brought left join lateral (
      select generation from os_installation_request request
       where request.machine_id = brought.machine_id and request.generation = brought.reported_generation limit 1
    ) request on true
   where brought.reported_generation is not null
), accepted as (
  insert into os_installation_report (machine_id, generation, reported_at, result, error, report)
  select machine_id, reported_generation, now(), result, error, report
    from reported where requested order by machine_id
  on conflict (machine_id) do update
    set generation = excluded.generation, reported_at = excluded.reported_at, result = excluded.result,
        error = excluded.error, report = excluded.report
    where excluded.generation > os_installation_report.generation
  returning machine_id, generation, reported_at, result, error
), held as materialized (
  select request.*
    from (select machine_id, generation from accepted
           union all
          select machine_id, progress_generation from brought where progress_generation is not null
           order by machine_id) touched
    cross join lateral (
      select machine_id, generation, finished_at, first_given_at, started_at, ${isOpen("request")} as is_open
        from os_installation_request request
       where request.machine_id = touched.machine_id and request.generation = touched.generation
       limit 1 for no key update
    ) request
), finished as (
  update os_installation_request request
     set finished_at = accepted.reported_at, result = accepted.result, error = accepted.error
    from held join accepted using (machine_id, generation)
   where request.machine_id = held.machine_id and request.generation = held.generation and held.finished_at is null
), progressed as (
  update os_installation_request request
     set first_given_at = coalesce(request.first_given_at, now()), started_at = coalesce(request.started_at, now()),
         progress_at = now(), phase = brought.phase, percent = brought.percent,
         due_at = now() + brought.quiet_ms * interval '1 millisecond'
    from held join brought on brought.machine_id = held.machine_id and brought.progress_generation = held.generation
   where request.machine_id = held.machine_id and request.generation = held.generation and held.is_open
  returning request.machine_id, request.generation, brought.public_key, held.first_given_at, held.started_at
), history_written as (
  insert into machine_history (machine_id, actor, kind, detail)
  select machine_id, 'agent:' || encode(public_key, 'hex'), kind, detail
    from (
      select machine_id, public_key, 1 as position, 'installation_given' as kind,
             jsonb_build_object('generation', generation::text) as detail
        from progressed where first_given_at is null
       union all
      select machine_id, public_key, 2, 'installation_started', jsonb_build_object('generation', generation::text)
        from progressed where started_at is null
       union all
      select machine_id, public_key, 3,
             case when requested then 'installation_reported' else 'installation_report_refused' end,
             jsonb_build_object('generation', reported_generation::text, 'result', result, 'error', error)
        from reported where not requested or machine_id in (select machine_id from accepted)
    ) happened
   order by machine_id, position
  on conflict do nothing
)
select slot from reported where not requested`;

/**
 * Reads the open requests that no report has reached, and notes boots, of the heartbeats that counted. $1 machine ids, $2 public keys,
 * $3 boot ids: arrays of one length. Returns the slots that have such a request. It is by the partial index of open ones, one for
 * each machine.
 */
export const readPending = `
with counted as materialized (
  select input.*, known_boot_id
    from unnest($1::uuid[], $2::bytea[], $3::text[]) with ordinality as input (machine_id, public_key, boot_id, slot)
    ${joinCounted}
), boot_stored as (
  update agent_heartbeat heartbeat set boot_id = counted.boot_id
    from counted
   where heartbeat.machine_id = counted.machine_id
     and counted.boot_id is not null and counted.boot_id is distinct from counted.known_boot_id
), history_written as (
  insert into machine_history (machine_id, actor, kind, detail)
  select machine_id, 'agent:' || encode(public_key, 'hex'), 'agent_booted',
         jsonb_build_object('bootId', boot_id, 'previousBootId', known_boot_id)
    from counted where boot_id <> known_boot_id order by machine_id
)
select counted.slot, open.generation, open.request
  from counted cross join lateral (
    select generation, request from os_installation_request request
     where request.machine_id = counted.machine_id and ${isOpen("request")} and ${isUnreported("request")}
     limit 1
  ) open`;

/** Locks the agent_started rows of the agents given. $1 machine ids, $2 public keys: arrays of one length. */
export const holdAgents = `
select from (
  select * from unnest($1::uuid[], $2::bytea[]) as input (machine_id, public_key) order by machine_id
) input ${holdAgent}`;

/**
 * Records that agents are given requests, and returns the slots of those that may be. $1 machine ids, $2 public keys, $3 generations:
 * arrays of one length, no machine twice with the same key; $4 how many milliseconds an installation may take.
 *
 * PostgreSQL looks again at a request that it had to wait for: one that was cancelled, superseded or finished by then is not given.
 */
export const recordDeliveries = `
with input as (
  select * from unnest($1::uuid[], $2::bytea[], $3::bigint[])
    with ordinality as input (machine_id, public_key, generation, slot)
   order by machine_id
), held as materialized (
  select input.slot, input.public_key, request.*
    from input
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key limit 1
    ) agent
    cross join lateral (
      select machine_id, generation, first_given_at from os_installation_request request
       where request.machine_id = input.machine_id and request.generation = input.generation and ${isOpen("request")}
         and ${isUnreported("request")}
       limit 1 for no key update
    ) request
), given as (
  update os_installation_request request
     set first_given_at = coalesce(request.first_given_at, now()), last_given_at = now(),
         times_given = request.times_given + 1,
         due_at = case when request.first_given_at is null then now() + $4::integer * interval '1 millisecond'
                       else request.due_at end
    from held where request.machine_id = held.machine_id and request.generation = held.generation
), history_written as (
  insert into machine_history (machine_id, actor, kind, detail)
  select machine_id, 'agent:' || encode(public_key, 'hex'), 'installation_given',
         jsonb_build_object('generation', generation::text)
    from held where first_given_at is null order by machine_id
)
select slot from held`;
