/**
 * The statement of a batch that stores the health alerts which heartbeats carry. Agents send them only now and then, so
 * most batches skip it.
 */
import type pg from "pg";
import { agentSource } from "../../schema/health-alert.ts";
import { replaceAlerts, toAlertsJson } from "../replace-alerts.ts";
import { agentColumns, defineColumns, type HeartbeatRow, joinCounted } from "./heartbeat-row.ts";

const columns = defineColumns<HeartbeatRow>({
  ...agentColumns,
  alerts: ["jsonb", (row) => toAlertsJson(row.health?.alerts ?? [])],
  ttl_ms: ["bigint", (row) => row.health?.ttlMs],
});

/** Part of an alert's time by which the server lets it last longer, so that an agent can repeat it unchanged. */
const spareShare = 4;

const text = `
with brought as materialized (
  select input.machine_id, '${agentSource}' as source, 'agent:' || encode(input.public_key, 'hex') as actor, alerts,
         ttl_ms, ttl_ms / ${spareShare} as spare_ms
    from unnest(${columns.parameters}) as input (${columns.names})
    ${joinCounted}
), ${replaceAlerts}
select`;

/**
 * Replaces the agents' alerts by those of the heartbeats that counted. Returns nothing. Alerts that are repeated
 * unchanged are written only when their time would be over too soon.
 */
export function storeHealth(rows: readonly HeartbeatRow[]): pg.QueryConfig {
  return { name: "store-health", text, values: columns.toValues(rows) };
}
