/**
 * The statement of a batch that stores the health alerts which heartbeats carry. Agents send them only now and then, so
 * most batches skip it.
 *
 * The history has one row for all changes of an agent's alerts within an hour, as it has for boots: its words are those
 * of the last change, with the number of changes, and the names of all alerts that changed. Watchers and receivers read
 * it again after each change, since it has the transaction of the last one.
 */
import type pg from "pg";
import { agentSource } from "../../schema/health-alert.ts";
import { replaceAlerts, toAlertsJson } from "../replace-alerts.ts";
import { agentColumns, defineColumns, type HeartbeatRow, isoNow, joinCounted, longestRun } from "./heartbeat-row.ts";

const columns = defineColumns<HeartbeatRow>({
  ...agentColumns,
  alerts: ["jsonb", (row) => toAlertsJson(row.health?.alerts ?? [])],
  ttl_ms: ["bigint", (row) => row.health?.ttlMs],
});

/** Part of an alert's time by which the server lets it last longer, so that an agent can repeat it unchanged. */
const spareShare = 4;

/** Number of the machine's newest rows of the history among which the row of the run is looked for. */
const newestRows = 50;

/** Maximum number of alerts that a row of the history names as those that changed in its hour. */
const maxNames = 20;

/** The end of a list of names that is not complete. */
const more = "and more";

const text = `
with brought as materialized (
  select input.machine_id, '${agentSource}' as source, 'agent:' || encode(input.public_key, 'hex') as actor, alerts,
         ttl_ms, ttl_ms / ${spareShare} as spare_ms
    from unnest(${columns.parameters}) as input (${columns.names})
    ${joinCounted}
), ${replaceAlerts}, run as materialized (
  select told.machine_id, actor, told.detail, run.id, coalesce((run.detail ->> 'changes')::bigint, 1) + 1 as changes,
         coalesce(string_to_array(run.detail ->> 'alerts', '; '), '{}') || names as names
    from told left join lateral (
      select id, detail
        from (select * from machine_history history
               where history.machine_id = told.machine_id order by id desc limit ${newestRows}) newest
       where kind = 'health_changed' and newest.actor = told.actor and at > now() - ${longestRun}
       order by id desc limit 1
    ) run on true
), named as materialized (
  select machine_id, actor, id, changes,
         detail || jsonb_build_object('alerts', array_to_string((
           select array_agg(name order by place) filter (where place <= ${maxNames})
                    || case when count(*) > ${maxNames} or '${more}' = any (names) then '{${more}}'::text[] end
             from (
               select name, row_number() over (order by min(place)) as place
                 from unnest(names) with ordinality as each (name, place) where name <> '${more}' group by name
             ) distinct_names), '; ')) as detail
    from run
), run_extended as (
  update machine_history history
     set transaction = pg_current_xact_id(),
         detail = named.detail || jsonb_build_object('changes', changes::text, 'lastChangeTime', ${isoNow})
    from named where history.id = any (array(select id from named)) and history.id = named.id
)
insert into machine_history (machine_id, actor, kind, detail)
select machine_id, actor, 'health_changed', detail from named where id is null order by machine_id`;

/**
 * Replaces the agents' alerts by those of the heartbeats that counted. Returns nothing. Alerts that are repeated
 * unchanged are written only when their time would be over too soon.
 */
export function storeHealth(rows: readonly HeartbeatRow[]): pg.QueryConfig {
  return { name: "store-health", text, values: columns.toValues(rows) };
}
