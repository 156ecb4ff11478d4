-- Fills an empty, migrated database with a fleet for measurements: psql "$DATABASE_URL" -v machines=100000 -f bench/large-fleet.sql
--
-- Of the machines 98 % are provided (by 4 providers at 40 locations), 96 % have an agent, 94 % heartbeated in the last 30 s and count as
-- heartbeating for an hour, 1 % went silent; all of those have a hardware report of 1.2 kB, with eight identifiers and one that is gone, and
-- one machine in a thousand shares a MAC address with another. 60 % were installed, a tenth of them twice, 1 % of installations failed, and
-- 2 % of all machines have an open installation in one of its four states.
\set ON_ERROR_STOP on
begin;
select setseed(0.5);

create temporary table fleet on commit drop as
select gen_random_uuid() as id, n, random() as die, random() as installation, random() as outcome
  from generate_series(1, :machines) as n;

insert into machine (id, created_at) select id, now() - interval '30 days' from fleet;

insert into provided (machine_id, provider, provider_id, location, provided_at, status)
select id, 'provider-' || n % 4, 'server-' || n, 'location-' || n % 40, now() - interval '30 days', 'running'
  from fleet where die < 0.98;

insert into machine_label (machine_id, key, value)
select id, key, value
  from fleet cross join lateral (values ('rack', 'rack-' || n % 500), ('team', 'team-' || n % 5), ('role', 'role-' || n % 20),
                                        ('example.com/site', 'site-' || n % 40), ('owner', 'owner-' || n % 1000)) as label (key, value)
 where die < 0.98;

insert into machine_hold (machine_id, reason, is_muted, held_at, held_by, until)
select id, 'power', n % 2 = 0, now() - interval '1 hour', 'token:operator', now() + interval '1 day' from fleet where die between 0.5 and 0.6;

insert into agent_started (machine_id, started_at, public_key)
select id, now() - interval '29 days', sha256(id::text::bytea) from fleet where die < 0.96;

insert into agent_heartbeat (machine_id, heartbeat_at, alive_since, quiet_until)
select id, now() - silence, now() - interval '28 days', now() - silence + interval '1 hour'
  from (select id, case when die < 0.94 then random() * interval '30 seconds' else interval '2 hours' end as silence
          from fleet where die < 0.95) as heartbeating;

insert into hardware_report (machine_id, reported_at, report, manufacturer, product, serial_number, memory_bytes, cpu_threads,
                             disk_bytes, largest_disk_bytes, identified_at, inventoried_at, confirmed_at)
select id, now() - interval '28 days', filling, 'Example', 'Server 1', 'serial-' || n, 1024 ^ 3 * 64 * (1 + n % 8),
       16 * (1 + n % 8), 1e12 * (1 + n % 6), 1e12, now() - interval '28 days', now() - interval '28 days', now()
  from fleet cross join lateral (
    select string_agg(sha256((id::text || part)::bytea), '') as filling from generate_series(1, 37) as part) as report
 where die < 0.95;

insert into machine_identifier (machine_id, kind, value, scope, shown, part, first_seen_at, since, gone_at, is_shared)
select id, kind, value, case kind when 'disk_serial_number' then 'disk 1' else '' end, upper(value),
       case when kind like 'disk%' then 'Disk 1' else '' end, now() - interval '28 days', now() - interval '28 days',
       case when gone then now() - interval '1 day' end, shared
  from fleet cross join lateral (values
    ('serial_number', 'serial-' || n, false, false),
    ('system_uuid', md5('uuid' || n), false, false),
    ('mac', '3cecef' || lpad(to_hex(n), 6, '0'), false, false),
    ('mac', case when n % 2000 < 2 then '3cee' || lpad(to_hex(n / 2000), 8, '0') else '3cef' || lpad(to_hex(n), 8, '0') end, false, n % 2000 < 2),
    ('disk_serial_number', 'disk-a-' || n, false, false),
    ('disk_wwn', '5000c5' || lpad(to_hex(n), 10, '0'), false, false),
    ('disk_serial_number', 'disk-b-' || n, false, false),
    ('disk_wwn', '5000c6' || lpad(to_hex(n), 10, '0'), false, false),
    ('disk_serial_number', 'disk-c-' || n, true, false)) as identifier (kind, value, gone, shared)
 where die < 0.95;

-- A stored OSInstallationRequest of an image, which servers can decode.
create temporary table stored on commit drop as
select decode('0801820181010a2c68747470733a2f2f696d616765732e6578616d706c652e636f6d2f64656269616e2d31332e7261772e7a73741247736861323536' ||
              '3a303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030301a082f6465762f736461', 'hex') as request;

insert into os_installation_request (machine_id, generation, requested_at, requested_by, superseded_at, first_given_at, last_given_at,
                                     times_given, due_at, finished_at, result, error, request)
select id, generation, asked_at, 'token:operator', null, asked_at, asked_at, 1, asked_at + interval '20 minutes',
       asked_at + interval '10 minutes', result, case result when 'error' then 'no such disk' end, (select request from stored)
  from fleet cross join generate_series(1, 2) as generation
 cross join lateral (select now() - (21 - generation) * interval '1 day' as asked_at,
                            case when outcome < 0.01 then 'error' else 'success' end as result) as past
 where installation < 0.6 and (generation = 1 or installation < 0.06);

insert into os_installation_report (machine_id, generation, reported_at, result, error, report)
select distinct on (machine_id) machine_id, generation, finished_at, result, error, sha256('report')
  from os_installation_request order by machine_id, generation desc;

insert into os_installation_request (machine_id, generation, requested_at, requested_by, first_given_at, last_given_at, times_given,
                                     started_at, progress_at, phase, percent, due_at, request)
select id, 3, now() - interval '1 hour', 'token:operator', given_at, given_at, case when given_at is null then 0 else 1 end,
       started_at, started_at, case when started_at is not null then 'writing' end, case when started_at is not null then 40 end,
       case kind when 0 then null when 3 then now() - interval '1 minute' else now() + interval '10 minutes' end, (select request from stored)
  from (select id, n % 4 as kind, case n % 4 when 0 then null else now() - interval '5 minutes' end as given_at,
               case n % 4 when 2 then now() - interval '4 minutes' end as started_at
          from fleet where die < 0.02) as open;

insert into machine_history (machine_id, at, actor, kind, detail)
select id, now() - interval '30 days', 'token:operator', 'machine_created', '{}' from fleet;
insert into machine_history (machine_id, at, actor, kind, detail)
select machine_id, requested_at, requested_by, 'installation_requested', jsonb_build_object('generation', generation::text)
  from os_installation_request;
commit;
vacuum (analyze);
