/**
 * Records boots in a transaction of their own, after the heartbeats'. Few heartbeats report one, and the statement
 * would cost every batch 0.12 ms of PostgreSQL's time even with nothing to record. Only this transaction writes the
 * boot id of agent_heartbeat, together with everything that follows from it. So after a failure the next heartbeat
 * repeats it.
 *
 * The history has one row for a run of boots, which each further boot of the run extends. Watchers read it again then,
 * since it has the transaction of the last boot. So a machine that boots all the time, or an agent that invents boot
 * ids, adds no more than a row an hour. Rows of the history are looked up by an array of ids: for a join, PostgreSQL
 * would read all of them.
 */
import type pg from "pg";
import { runPipelined } from "../../pipelined-transaction.ts";
import { bootLoopPeriod } from "../../schema/agent-boots.ts";
import { type DuplicateSign, joinPast, noteReturns, selectBegan } from "./duplicate-signs.ts";
import {
  agentColumns,
  defineColumns,
  type HeartbeatRow,
  holdAgents,
  isoNow,
  joinHeldAgent,
  longestRun,
} from "./heartbeat-row.ts";

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
    ${joinHeldAgent}
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
booted as materialized (
  select changed.machine_id, public_key, value, previous, boots.*,
         now() - run_began_at < ${longestRun} as is_in_run,
         coalesce(second_last_at > now() - ${bootLoopPeriod}, false) as is_loop
    from changed left join lateral (
      select history_id, run_began_at, run_boots, last_at, second_last_at, loop_since, loop_boots
        from agent_boots boots where boots.machine_id = changed.machine_id limit 1
    ) boots on true
   where previous is not null and slot not in (select slot from returned)
), run_extended as (
  update machine_history history
     set transaction = pg_current_xact_id(),
         detail = detail || jsonb_build_object('bootId', value, 'boots', (run_boots + 1)::text,
                                               'lastBootTime', ${isoNow})
    from booted
   where history.id = any (array(select history_id from booted where is_in_run)) and history.id = booted.history_id
  returning history.machine_id, history.id
), history_written as (
  insert into machine_history (machine_id, actor, kind, detail)
  select machine_id, 'agent:' || encode(public_key, 'hex'), kind, detail
    from (
      select machine_id, public_key, 1 as position, 'agent_booted' as kind,
             jsonb_build_object('bootId', value, 'previousBootId', previous) as detail
        from booted where machine_id not in (select machine_id from run_extended)
       union all ${selectBegan("boot_id", 2)}
    ) happened
   order by machine_id, position
  returning machine_id, id, kind
), boots_stored as (
  insert into agent_boots (machine_id, history_id, run_began_at, run_boots, last_at, second_last_at, loop_since,
                           loop_boots)
  select booted.machine_id, coalesce(extended.id, written.id),
         case when extended.id is null then now() else run_began_at end,
         case when extended.id is null then 1 else run_boots + 1 end,
         now(), last_at,
         case when is_loop then coalesce(loop_since, second_last_at) end,
         case when is_loop then coalesce(loop_boots + 1, 3) end
    from booted left join run_extended extended using (machine_id)
    left join history_written written on written.machine_id = booted.machine_id and written.kind = 'agent_booted'
   order by machine_id
  on conflict (machine_id) do update
    set history_id = excluded.history_id, run_began_at = excluded.run_began_at, run_boots = excluded.run_boots,
        last_at = excluded.last_at, second_last_at = excluded.second_last_at,
        loop_since = excluded.loop_since, loop_boots = excluded.loop_boots
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
