/**
 * The first statement of a batch: it authenticates the agents, refuses replayed signatures by their nonces, and records
 * that the agents are alive.
 */
import type pg from "pg";
import { agentColumns, defineColumns, findAllowanceMs, type HeartbeatRow, holdAgent } from "./heartbeat-row.ts";

const columns = defineColumns<HeartbeatRow>({
  ...agentColumns,
  nonce: ["bigint", (row) => row.signatureNonce],
  quiet_ms: ["integer", (row) => Math.max(findAllowanceMs(row), row.installationProgress?.quietForMs ?? 0)],
  agent_version: ["text", (row) => row.agentVersion],
  outdated: ["boolean", (row) => row.isOutdated ?? false],
  knows_additions: ["boolean", (row) => row.knowsAdditions ?? false],
});

const text = `
with input as (
  select * from unnest(${columns.parameters}) with ordinality as input (${columns.names}, slot)
   order by machine_id
), identified as materialized (
  select input.* from input ${holdAgent}
), counted as (
  insert into agent_heartbeat (machine_id, heartbeat_at, alive_since, quiet_until, agent_version, outdated_since,
                               knows_additions, signature_nonce)
  select machine_id, now(), now(), now() + quiet_ms * interval '1 millisecond', agent_version,
         case when outdated then now() end, knows_additions, nonce
    from identified order by machine_id
  on conflict (machine_id) do update
    set heartbeat_at = excluded.heartbeat_at,
        alive_since = case when agent_heartbeat.quiet_until < excluded.alive_since then excluded.alive_since
                           else agent_heartbeat.alive_since end,
        quiet_until = excluded.quiet_until,
        agent_version = coalesce(excluded.agent_version, agent_heartbeat.agent_version),
        outdated_since = case when excluded.agent_version is null then agent_heartbeat.outdated_since
                              when excluded.outdated_since is null then null
                              else coalesce(agent_heartbeat.outdated_since, excluded.outdated_since) end,
        knows_additions = agent_heartbeat.knows_additions or excluded.knows_additions,
        signature_nonce = coalesce(excluded.signature_nonce, agent_heartbeat.signature_nonce)
    where excluded.signature_nonce is null
       or agent_heartbeat.signature_nonce is null
       or excluded.signature_nonce > agent_heartbeat.signature_nonce
  returning machine_id
)
select slot, machine_id in (select machine_id from counted) as counted from identified`;

/**
 * Locks the agents' agent_started rows in the order of machine ids, then writes agent_heartbeat. `rows` must not name a
 * machine twice with the same key. Returns, for each row whose key is the machine's registered key, `slot`, the row's
 * place in `rows` from 1, and `counted`, which is false for a replayed nonce. Since a machine has only one key, the
 * slot tells the agent's row from others that claim the same machine.
 */
export function authenticateHeartbeats(rows: readonly HeartbeatRow[]): pg.QueryConfig {
  return { name: "authenticate-heartbeats", text, values: columns.toValues(rows) };
}
