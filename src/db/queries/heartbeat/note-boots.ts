/**
 * Records boots in a transaction of their own, after the heartbeats'. Few heartbeats report one, and the statement
 * would cost every batch 0.12 ms of PostgreSQL's time even with nothing to record. Only this transaction writes the
 * boot id of agent_heartbeat, together with everything that follows from it. So after a failure the next heartbeat
 * repeats it.
 */
import type pg from "pg";
import { runPipelined } from "../../pipelined-transaction.ts";
import { type DuplicateSign, joinPast, noteReturns, selectBegan } from "./duplicate-signs.ts";
import { agentColumns, defineColumns, type HeartbeatRow, holdAgents, joinAgent } from "./heartbeat-row.ts";

/** A boot id that has returned after another one. */
export interface ReturnedBoot {
  /** Set if nothing revealed two machines before. */
  readonly began?: DuplicateSign;
}

const columns = defineColumns<HeartbeatRow>({ ...agentColumns, boot_id: ["text", (row) => row.bootId] });

const text = `
with known as materialized (
  select input.*, heartbeat.boot_id as previous, quiet_until
    from unnest(${columns.parameters}) with ordinality as input (machine_id, public_key, value, slot)
    ${joinAgent}
    cross join lateral (
      select boot_id, quiet_until from agent_heartbeat heartbeat where heartbeat.machine_id = input.machine_id limit 1
    ) heartbeat
), changed as materialized (
  select changed.*, past_values, duplicate_until
    from known changed ${joinPast("boot_ids")}
   where value is distinct from previous
), boot_stored as (
  update agent_heartbeat heartbeat set boot_id = changed.value
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
select slot, value, previous, slot in (select slot from began) as began from returned`;

/**
 * Records the boot ids of heartbeats that counted, if they differ from those on record. Returns the rows whose boot id
 * has returned after another one. `rows` must not name a machine twice with the same key, and each row must have a boot
 * id. When it throws, nothing was recorded, unless the connection was lost: then the outcome is unknown.
 */
export async function noteBoots(
  client: pg.ClientBase,
  rows: readonly HeartbeatRow[],
): Promise<Map<HeartbeatRow, ReturnedBoot>> {
  const { note } = await runPipelined(client, {
    hold: holdAgents(rows),
    note: { name: "note-boots", text, values: columns.toValues(rows) },
  });
  return new Map(note.map(({ slot, ...row }) => [rows[Number(slot) - 1] as HeartbeatRow, toReturned(row)]));
}

function toReturned({ value, previous, began }: pg.QueryResultRow): ReturnedBoot {
  return began === true ? { began: { sign: "boot_id", value, otherValue: previous } } : {};
}
