/** The last statement of a batch: it reads what the agents still have to install, and records boots. */
import type pg from "pg";
import { agentColumns, joinCounted } from "./agent-rows.ts";
import type { HeartbeatRow } from "./heartbeat-row.ts";
import { defineColumns } from "./input-columns.ts";
import { isPending } from "./is-pending.ts";

const columns = defineColumns<HeartbeatRow>({ ...agentColumns, boot_id: ["text", (row) => row.bootId] });

const text = `
with counted as materialized (
  select input.*, known_boot_id
    from unnest(${columns.parameters}) with ordinality as input (${columns.names}, slot)
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
     where request.machine_id = counted.machine_id and ${isPending("request")}
     limit 1
  ) open`;

/**
 * Reads the open requests that no report has reached, for the heartbeats that counted, by the partial index of open
 * requests. Returns the request and `slot`, the row's place in `rows` from 1, for each heartbeat that has one.
 */
export function readPending(rows: readonly HeartbeatRow[]): pg.QueryConfig {
  return { name: "read-pending", text, values: columns.toValues(rows) };
}
