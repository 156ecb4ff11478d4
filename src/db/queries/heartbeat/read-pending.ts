/** The last statement of a batch: it records boots, and reads the requests that agents still have to carry out. */
import type pg from "pg";
import { agentColumns, joinCounted } from "./agent-rows.ts";
import { joinPast, noteReturns, selectBegan } from "./duplicate-signs.ts";
import type { HeartbeatRow } from "./heartbeat-row.ts";
import { defineColumns } from "./input-columns.ts";
import { isPending } from "./is-pending.ts";

const columns = defineColumns<HeartbeatRow>({ ...agentColumns, boot_id: ["text", (row) => row.bootId] });

const text = `
with counted as materialized (
  select input.*, known_boot_id, quiet_until
    from unnest(${columns.parameters}) with ordinality as input (${columns.names}, slot)
    ${joinCounted}
), changed as materialized (
  select changed.*, boot_id as value, known_boot_id as previous, past_values, duplicate_until
    from counted changed ${joinPast("boot_ids")}
   where boot_id is not null and boot_id is distinct from known_boot_id
), boot_stored as (
  update agent_heartbeat heartbeat set boot_id = changed.boot_id
    from changed where heartbeat.machine_id = changed.machine_id
), ${noteReturns({ sign: "boot_id", column: "boot_ids", patience: "greatest(interval '1 hour', quiet_until - now())" })},
history_written as (
  insert into machine_history (machine_id, actor, kind, detail)
  select machine_id, 'agent:' || encode(public_key, 'hex'), kind, detail
    from (
      select machine_id, public_key, 1 as position, 'agent_booted' as kind,
             jsonb_build_object('bootId', value, 'previousBootId', previous) as detail
        from changed where previous is not null and slot not in (select slot from returned)
       union all ${selectBegan("boot_id", 2)}
    ) happened
   order by machine_id, position
)
select counted.slot, open.generation, open.request, began.value, began.previous
  from counted left join lateral (
    select generation, request from os_installation_request request
     where request.machine_id = counted.machine_id and ${isPending("request")}
     limit 1
  ) open on true
  left join began on began.slot = counted.slot
 where open.generation is not null or began.slot is not null`;

/**
 * Records new boots, and reads the pending requests of the machines whose heartbeats counted, by the partial index of
 * open requests. Returns `slot`, the row's place in `rows` from 1, for each heartbeat whose machine has such a request,
 * with `generation` and `request`, and for each whose boot id reveals two machines, with that id as `value` and the one
 * before as `previous`.
 */
export function readPending(rows: readonly HeartbeatRow[]): pg.QueryConfig {
  return { name: "read-pending", text, values: columns.toValues(rows) };
}
