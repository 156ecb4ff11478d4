/**
 * The statement of a batch that finds what is wrong in hardware reports, alone and compared with the report before.
 * Memory and a serial number that a report could not tell count as in the report before.
 *
 * Of a report that says the same as the one before it only reads the digest, before it looks at whose it is. Rows to
 * delete are passed as an array: for a join, PostgreSQL would read the whole index. The lock on the machine's agent
 * keeps others from these rows meanwhile.
 */
import { createHash } from "node:crypto";
import type pg from "pg";
import { isFound } from "../../schema/machine-finding.ts";
import { type AgentRow, agentColumns, defineColumns, type HeartbeatRow, joinCounted } from "./heartbeat-row.ts";

const columns = defineColumns<AgentRow & { readonly facts: string }>({
  ...agentColumns,
  facts: ["text", ({ facts }) => facts],
  digest: ["text", ({ facts }) => createHash("sha256").update(facts).digest("base64")],
});

/** How long a difference to an earlier report counts. */
const differenceLasts = "interval '7 days'";

const text = `
with changed as materialized (
  select input.*, before
    from unnest(${columns.parameters}) as input (${columns.names})
    left join lateral (
      select facts as before from hardware_facts stored where stored.machine_id = input.machine_id limit 1
    ) stored on true
   where before ->> 'digest' is distinct from digest
), news as materialized (
  select input.machine_id, told || jsonb_build_object(
           'digest', digest, 'serial', coalesce(told ->> 'serial', before ->> 'serial'),
           'memory', coalesce(nullif(told ->> 'memory', '0'), before ->> 'memory', '0')) as facts, before
    from changed input cross join lateral (select input.facts::jsonb as told) told ${joinCounted}
), facts_stored as (
  insert into hardware_facts (machine_id, facts) select machine_id, facts from news order by machine_id
  on conflict (machine_id) do update set facts = excluded.facts
), known as materialized (
  select finding.*
    from news cross join lateral (
      select * from machine_finding finding
       where finding.machine_id = news.machine_id and ${isFound("finding")} offset 0
    ) finding
), fewer as (
  select news.machine_id, quantity.type, known.until, figure.baseline, known.detail as known_detail,
         case quantity.type when 'memory_reduced'
              then pg_size_pretty(figure.amount) || ', ' || pg_size_pretty(figure.baseline) || ' before'
              else figure.amount || ' now, ' || figure.baseline || ' before' end as detail,
         (select string_agg(part.value ->> 'text', ', ') from jsonb_each(before -> quantity.parts) part
           where not facts -> quantity.parts ? part.key) as gone
    from news
   cross join (values ('memory_reduced', 'memory', 'none'), ('disk_missing', 'diskCount', 'disks'),
                      ('interface_missing', 'interfaceCount', 'interfaces')) quantity (type, key, parts)
    left join known on known.machine_id = news.machine_id and known.type = quantity.type
   cross join lateral (
     select (facts ->> quantity.key)::bigint as amount,
            coalesce(known.baseline, (before ->> quantity.key)::bigint) as baseline
   ) figure
   where figure.amount < figure.baseline
), found as materialized (
  select machine_id, finding.type, finding.target, finding.detail, null::timestamptz as until, null::bigint as baseline
    from news cross join lateral jsonb_to_recordset(facts -> 'findings') finding (type text, target text, detail text)
   union all
  select machine_id, type, '', case when starts_with(known_detail, detail) then known_detail
                                    else left(detail || coalesce(': ' || gone, ''), 400) end,
         coalesce(until, now() + ${differenceLasts}), baseline
    from fewer
   union all
  select machine_id, 'media_errors_growing', disk.key,
         (disk.value ->> 'text') || ': ' || (disk.value ->> 'errors') || ' media errors, '
           || (before -> 'disks' -> disk.key ->> 'errors') || ' before', now() + ${differenceLasts}, null
    from news cross join lateral jsonb_each(facts -> 'disks') disk
   where (disk.value ->> 'errors')::bigint > (before -> 'disks' -> disk.key ->> 'errors')::bigint
   union all
  select known.machine_id, type, target, detail, until, baseline
    from known join news using (machine_id)
   where type = 'media_errors_growing'
     and (facts -> 'disks' -> target ->> 'errors')::bigint = (before -> 'disks' -> target ->> 'errors')::bigint
   union all
  select machine_id, 'link_down', interface.key, interface.value ->> 'text', now() + ${differenceLasts}, null
    from news cross join lateral jsonb_each(facts -> 'interfaces') interface
   where interface.value ->> 'up' = 'false' and before -> 'interfaces' -> interface.key ->> 'up' = 'true'
   union all
  select known.machine_id, type, target, detail, until, baseline
    from known join news using (machine_id)
   where type = 'link_down' and facts -> 'interfaces' -> target ->> 'up' = 'false'
   union all
  select machine_id, 'serial_number_changed', '', (facts ->> 'serial') || ' now, ' || (before ->> 'serial') || ' before',
         now() + ${differenceLasts}, null
    from news where facts ->> 'serial' <> before ->> 'serial'
   union all
  select known.machine_id, type, target, detail, until, baseline
    from known join news using (machine_id)
   where type = 'serial_number_changed' and facts ->> 'serial' is not distinct from before ->> 'serial'
), findings_stored as (
  insert into machine_finding as stored (machine_id, type, target, since, until, detail, baseline)
  select distinct on (machine_id, type, target) machine_id, type, target, now(), until, detail, baseline
    from found order by machine_id, type, target
  on conflict (machine_id, type, target) do update
    set until = excluded.until, detail = excluded.detail, baseline = excluded.baseline,
        since = case when ${isFound("stored")} then stored.since else excluded.since end
)
delete from machine_finding
 where ctid = any (array(
   select finding.ctid
     from news cross join lateral (
       select ctid, * from machine_finding finding where finding.machine_id = news.machine_id offset 0
     ) finding
    where not exists (
      select from found where found.machine_id = finding.machine_id and found.type = finding.type
                          and found.target = finding.target)))`;

/** Stores the findings in the hardware reports of the heartbeats that counted, and removes those that have ended. */
export function noteFindings(rows: readonly HeartbeatRow[]): pg.QueryConfig {
  const told = rows.map(({ machineId, publicKey, hardwareReport }) => {
    return { machineId, publicKey, facts: JSON.stringify(hardwareReport?.facts) };
  });
  return { name: "note-findings", text, values: columns.toValues(told) };
}
