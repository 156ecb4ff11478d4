/**
 * Records deliveries of installation requests before the requests leave.
 *
 * A delivery has a transaction of its own, after its heartbeat's. Between the two, the server makes sure that it can
 * decode the request, which PostgreSQL cannot, so that a request which never leaves does not count as given. It locks
 * in the same order as a heartbeat: first agent_started, then, with a statement whose snapshot sees everything
 * committed by then, the requests. So an operator who cancels a request and a delivery of that request meet at its row,
 * and one of them comes first.
 *
 * A delivery does not wait for a request's row, which operators keep locked while they read the answers of a batch.
 * Heartbeats hold the agent's row before they lock a request, so a request that is locked is one that an operator is
 * changing: its agent is given nothing with this heartbeat.
 */
import type pg from "pg";
import { runPipelined } from "../../pipelined-transaction.ts";
import {
  type AgentRow,
  agentColumns,
  defineColumns,
  holdAgents,
  joinHeldAgent,
  processColumn,
} from "./heartbeat-row.ts";
import { isPending } from "./is-pending.ts";

/** A request that is about to be given to an agent, which proved to hold the private key of `publicKey`. */
export interface DeliveryRow extends AgentRow {
  readonly generation: bigint;
}

/** A delivery that is on record, so that its request may be given. */
export interface Delivery {
  /**
   * Kernel name of the request's disk in the newest hardware report; absent if the request names its disk without
   * regard to a report.
   */
  readonly diskName?: string;
}

/**
 * Records the deliveries in one transaction and returns after the commit, in the order of `rows`, the delivery of each
 * request that may be given. It may not if it was cancelled, superseded or finished meanwhile, if an operator is
 * changing it, if the key was replaced, or if the name of its disk is not certain. An agent that may know disks by name
 * only, such as Monogon's, is given a request only if its own process has reported the hardware: an earlier one may
 * have run before a reboot, and the disks can have other names since. `rows` must not name a machine twice with the
 * same key. The first delivery of a request sets when it is due: `installDeadlineMs` after the delivery.
 */
export async function deliverInstallations(
  client: pg.ClientBase,
  rows: readonly DeliveryRow[],
  installDeadlineMs: number,
): Promise<(Delivery | undefined)[]> {
  const { record } = await runPipelined(client, {
    hold: holdAgents(rows),
    record: recordDeliveries(rows, installDeadlineMs),
  });
  const deliveries: (Delivery | undefined)[] = rows.map(() => undefined);
  // Slots count from 1.
  for (const { slot, disk_name: name } of record) deliveries[Number(slot) - 1] = name ? { diskName: String(name) } : {};
  return deliveries;
}

const columns = defineColumns<DeliveryRow>({
  ...agentColumns,
  process: processColumn,
  generation: ["bigint", (row) => row.generation],
});
const installDeadline = `$${columns.count + 1}::integer * interval '1 millisecond'`;

const recordText = `
with input as (
  select * from unnest(${columns.parameters}) with ordinality as input (${columns.names}, slot)
   order by machine_id
), held as materialized (
  select input.slot, input.public_key, process, request.*, disk_name,
         disk_id is not null and knows_additions is not true and reported_by is distinct from process as is_refused
    from input
    ${joinHeldAgent}
    cross join lateral (
      select machine_id, generation, first_given_at, disk_id, refused_to from os_installation_request request
       where request.machine_id = input.machine_id and request.generation = input.generation
         and ${isPending("request")}
       limit 1 for no key update skip locked
    ) request
    left join lateral (
      select knows_additions from agent_heartbeat heartbeat where heartbeat.machine_id = input.machine_id limit 1
    ) heartbeat on true
    left join lateral (
      select disks ->> request.disk_id as disk_name, reported_by
        from hardware_report hardware where hardware.machine_id = input.machine_id limit 1
    ) hardware on true
), refused as (
  update os_installation_request request set refused_to = held.process
    from held where request.machine_id = held.machine_id and request.generation = held.generation
     and is_refused and held.refused_to is distinct from held.process
), given as (
  update os_installation_request request
     set first_given_at = coalesce(request.first_given_at, now()), last_given_at = now(),
         times_given = request.times_given + 1, refused_to = null,
         due_at = case when request.first_given_at is null then now() + ${installDeadline} else request.due_at end
    from held where request.machine_id = held.machine_id and request.generation = held.generation
     and not is_refused
), history_written as (
  insert into machine_history (machine_id, actor, kind, detail)
  select machine_id, 'agent:' || encode(public_key, 'hex'), 'installation_given',
         jsonb_build_object('generation', generation::text)
    from held where first_given_at is null and not is_refused order by machine_id
)
select slot, disk_name from held where not is_refused`;

/**
 * Records that agents are given requests, and returns `slot`, the row's place in `rows` from 1, and `disk_name` for
 * each request that may be given. PostgreSQL rechecks a request that changed since the statement's snapshot: one that
 * was cancelled, superseded or finished by then is not given.
 */
function recordDeliveries(rows: readonly DeliveryRow[], installDeadlineMs: number): pg.QueryConfig {
  return { name: "record-deliveries", text: recordText, values: [...columns.toValues(rows), installDeadlineMs] };
}
