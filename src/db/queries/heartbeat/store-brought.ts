/**
 * The second statement of a batch: it stores the reports and the progress that heartbeats carry. Most batches carry
 * none and skip it. A hardware report that is the stored one, as most are, costs no more than the comparison with it;
 * whose it is matters for the others only.
 */
import { createHash } from "node:crypto";
import type pg from "pg";
import { isOpen } from "../../schema/os-installation-request.ts";
import { joinPast, noteReturns, selectBegan } from "./duplicate-signs.ts";
import {
  agentColumns,
  defineColumns,
  findAllowanceMs,
  type HeartbeatRow,
  joinCounted,
  processColumn,
  toBuffer,
} from "./heartbeat-row.ts";
import { storeIdentifiers } from "./store-identifiers.ts";

/** A heartbeat with the identifiers in its hardware report as JSON, which are seldom new, and then not parsed. */
interface BroughtRow extends HeartbeatRow {
  readonly identifiers: string | undefined;
}

const columns = defineColumns<BroughtRow>({
  ...agentColumns,
  process: processColumn,
  hardware: ["bytea", (row) => toBuffer(row.hardwareReport?.report)],
  manufacturer: ["text", (row) => row.hardwareReport?.manufacturer],
  product: ["text", (row) => row.hardwareReport?.product],
  serial_number: ["text", (row) => row.hardwareReport?.serialNumber],
  own_serial_number: ["text", (row) => row.hardwareReport?.ownSerialNumber],
  memory_bytes: ["bigint", (row) => row.hardwareReport?.memoryBytes],
  cpu_threads: ["integer", (row) => row.hardwareReport?.cpuThreads],
  disk_bytes: ["bigint", (row) => row.hardwareReport?.diskBytes],
  largest_disk_bytes: ["bigint", (row) => row.hardwareReport?.largestDiskBytes],
  identifiers: ["text", (row) => row.identifiers],
  digest: ["bytea", ({ identifiers }) => identifiers && createHash("sha256").update(identifiers).digest()],
  system_uuid: ["text", (row) => row.hardwareReport?.systemUuid],
  disks: ["text", (row) => row.hardwareReport?.disks],
  reported_generation: ["bigint", (row) => row.installationReport?.generation],
  result: ["text", (row) => row.installationReport?.result],
  error: ["text", (row) => row.installationReport?.error],
  report: ["bytea", (row) => toBuffer(row.installationReport?.report)],
  progress_generation: ["bigint", (row) => row.installationProgress?.generation],
  phase: ["text", (row) => row.installationProgress?.phase],
  percent: ["smallint", (row) => row.installationProgress?.percent],
  quiet_ms: ["integer", (row) => row.installationProgress?.quietForMs ?? findAllowanceMs(row)],
});

/**
 * Maximum distance by which a refused report's generation may exceed all known ones and still be attributed to lost
 * requests. Numbers made of a date and a time to the second are within it, and an agent cannot use up its machine's
 * generations.
 */
const maxJump = 2n ** 45n;

const text = `
with sent as materialized (
  select input.*, stored.*, hardware is not null and stored_hardware is distinct from hardware as differs,
         hardware is not null and (stored_hardware is distinct from hardware or not is_complete
           or reported_by is distinct from process
           or confirmed_at is null or confirmed_at < now() - interval '1 hour') as is_noted
    from unnest(${columns.parameters}) with ordinality as input (${columns.names}, slot)
    left join lateral (
      select reported_at as stored_at, report as stored_hardware, serial_number as stored_serial_number, confirmed_at,
             reported_by,
             memory_bytes is not null and identified_at is not distinct from reported_at
               and inventoried_at is not distinct from reported_at as is_complete,
             case when identified_at = reported_at and digested_at = reported_at then identifiers_digest
             end as stored_digest
        from hardware_report stored where stored.machine_id = input.machine_id and hardware is not null limit 1
    ) stored on true
), brought as materialized (
  select input.*
    from (select * from sent
           where is_noted or reported_generation is not null or progress_generation is not null) input
    ${joinCounted}
), hardware_confirmed as (
  update hardware_report hardware set confirmed_at = now(), reported_by = brought.process
    from brought
   where hardware.machine_id = any (array(select machine_id from brought where is_noted and not differs and is_complete))
     and hardware.machine_id = brought.machine_id
), hardware_news as materialized (
  select slot, machine_id, public_key, process, hardware, manufacturer, product, serial_number, own_serial_number, memory_bytes,
         cpu_threads, disk_bytes, largest_disk_bytes, system_uuid, disks, digest, stored_at, stored_hardware,
         stored_serial_number, differs, case when stored_digest = digest then null else identifiers end as identifiers,
         case when differs then now() else stored_at end as identified_at
    from brought where is_noted and (differs or not is_complete)
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
                               memory_bytes, cpu_threads, disk_bytes, largest_disk_bytes, identified_at,
                               system_uuid, disks, confirmed_at, inventoried_at, identifiers_digest, digested_at,
                               reported_by)
  select machine_id, identified_at, hardware, manufacturer, product, serial_number,
         memory_bytes, cpu_threads, disk_bytes, largest_disk_bytes, identified_at,
         system_uuid, disks::jsonb, now(), identified_at, digest, identified_at, process
    from hardware_news order by machine_id
  on conflict (machine_id) do update
    set reported_at = excluded.reported_at, report = excluded.report, manufacturer = excluded.manufacturer,
        product = excluded.product, serial_number = excluded.serial_number, memory_bytes = excluded.memory_bytes,
        cpu_threads = excluded.cpu_threads, disk_bytes = excluded.disk_bytes,
        largest_disk_bytes = excluded.largest_disk_bytes, identified_at = excluded.identified_at,
        system_uuid = excluded.system_uuid, disks = excluded.disks, confirmed_at = excluded.confirmed_at,
        inventoried_at = excluded.inventoried_at, identifiers_digest = excluded.identifiers_digest,
        digested_at = excluded.digested_at, reported_by = excluded.reported_by
), ${storeIdentifiers.trim()}, changed as materialized (
  select changed.machine_id, public_key, slot, own_serial_number as value, stored_serial_number as previous,
         past_values, duplicate_until
    from hardware_news changed ${joinPast("serial_numbers")}
   where own_serial_number <> stored_serial_number
), ${noteReturns({ sign: "serial_number", column: "serial_numbers", patience: "interval '1 day'" })},
told as materialized (
  select brought.*, coalesce(reported_generation, progress_generation) as told_generation,
         request.generation is not null as requested,
         case when request.was_given then 'counts' when not request.is_open then 'late' else 'refused' end as verdict
    from brought left join lateral (
      select generation, first_given_at is not null or finished_at is not null as was_given,
             ${isOpen("request")} as is_open
        from os_installation_request request
       where request.machine_id = brought.machine_id
         and request.generation = coalesce(reported_generation, progress_generation) limit 1
    ) request on true
   where coalesce(reported_generation, progress_generation) is not null
), reported as materialized (
  select * from told where reported_generation is not null
), refusal_stored as (
  insert into refused_report (machine_id, generation, floor, refused_at)
  select machine_id, told_generation,
         case when told_generation <= 0 then 0
              when told_generation - reached <= ${maxJump} then told_generation
              else 0 end, now()
    from told cross join lateral (
      select greatest(
        (select generation from os_installation_request request
          where request.machine_id = told.machine_id order by generation desc limit 1),
        (select generation from os_installation_report report where report.machine_id = told.machine_id limit 1),
        (select generation from deleted_machine deleted where deleted.machine_id = told.machine_id limit 1),
        0) as reached
    ) known
   where verdict = 'refused' order by machine_id
  on conflict (machine_id) do update
    set generation = excluded.generation, floor = greatest(refused_report.floor, excluded.floor),
        refused_at = excluded.refused_at,
        since = case when refused_report.generation = excluded.generation then refused_report.since
                     else excluded.since end
), accepted as (
  insert into os_installation_report (machine_id, generation, reported_at, result, error, report)
  select machine_id, reported_generation, now(), result, error, report
    from reported where verdict = 'counts' order by machine_id
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
     set started_at = coalesce(request.started_at, now()), progress_at = now(),
         phase = brought.phase, percent = brought.percent,
         due_at = now() + brought.quiet_ms * interval '1 millisecond'
    from held join brought on brought.machine_id = held.machine_id and brought.progress_generation = held.generation
   where request.machine_id = held.machine_id and request.generation = held.generation
     and held.is_open and held.first_given_at is not null
  returning request.machine_id, request.generation, brought.public_key, held.started_at
), history_written as (
  insert into machine_history (machine_id, actor, kind, detail)
  select machine_id, 'agent:' || encode(public_key, 'hex'), kind, detail
    from (${selectBegan("serial_number", 1)}
       union all
      select machine_id, public_key, 2, 'installation_started', jsonb_build_object('generation', generation::text)
        from progressed where started_at is null
       union all
      select machine_id, public_key, 3,
             case verdict when 'counts' then 'installation_reported' else 'installation_report_refused' end,
             jsonb_build_object('generation', reported_generation::text, 'result', result, 'error', error)
               || case when requested and verdict <> 'counts' then jsonb_build_object('reason', 'never_given')
                       else '{}' end
        from reported where verdict <> 'counts' or machine_id in (select machine_id from accepted)
    ) happened
   order by machine_id, position
  on conflict do nothing
)
select brought.slot, reported.verdict is not distinct from 'refused' as refused, reported.requested,
       began.value, began.previous
  from brought left join reported on reported.slot = brought.slot left join began on began.slot = brought.slot
 where reported.verdict = 'refused' or began.slot is not null`;

/**
 * Stores the reports and the progress of the heartbeats that counted. Returns `slot`, the row's place in `rows` from 1,
 * for each heartbeat whose installation report is `refused`, with whether its generation was `requested`, and for each
 * whose serial number reveals two machines, with that number as `value` and the one before as `previous`.
 *
 * A hardware report that differs replaces the stored one, which is kept together with the eight before it, and its
 * identifiers replace those of the stored one. An equal one confirms it. An installation report counts if its
 * generation was given to the machine's agent and exceeds the stored one's; it finishes its request, even a superseded
 * or cancelled one. A report of a request that was never given is recorded in the history only; if that request is open
 * or does not exist, the report is refused and its generation stored.
 * Progress counts only for an open request that was given; progress of a request that was never given, and is open or
 * does not exist, has its generation stored too. Operators who change requests do not lock agent_started, so the
 * statement locks each request before it examines it.
 */
export function storeBrought(rows: readonly HeartbeatRow[]): pg.QueryConfig {
  const brought = rows.map((row) => {
    const { hardwareReport } = row;
    return { ...row, identifiers: hardwareReport && JSON.stringify(hardwareReport.identifiers) };
  });
  return { name: "store-brought", text, values: columns.toValues(brought) };
}
