/** The last statement of a batch: it reads the requests that agents still have to carry out, and who has booted. */
import type pg from "pg";
import { agentColumns, joinCounted } from "./agent-rows.ts";
import type { HeartbeatRow } from "./heartbeat-row.ts";
import { defineColumns } from "./input-columns.ts";
import { isPending } from "./is-pending.ts";

const columns = defineColumns<HeartbeatRow>({ ...agentColumns, boot_id: ["text", (row) => row.bootId] });

const text = `
with counted as materialized (
  select slot, machine_id, boot_id is not null and boot_id is distinct from known_boot_id as booted
    from unnest(${columns.parameters}) with ordinality as input (${columns.names}, slot)
    ${joinCounted}
)
select slot, booted, generation, request
  from counted left join lateral (
    select generation, request from os_installation_request request
     where request.machine_id = counted.machine_id and ${isPending("request")}
     limit 1
  ) open on true
 where booted or generation is not null`;

/**
 * Reads the pending requests of the machines whose heartbeats counted, by the partial index of open requests. Returns
 * `slot`, the row's place in `rows` from 1, for each heartbeat whose machine has such a request, with `generation` and
 * `request`, or whose boot id is not the one on record, with `booted` true.
 */
export function readPending(rows: readonly HeartbeatRow[]): pg.QueryConfig {
  return { name: "read-pending", text, values: columns.toValues(rows) };
}
