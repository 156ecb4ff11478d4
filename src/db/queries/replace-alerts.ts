/**
 * SQL that replaces the health alerts of a source, shared by operators' calls and heartbeats. Both hold the row of the
 * machine's agent, if there is one, so nobody else writes these alerts meanwhile.
 */
import { isLiving } from "../schema/health-alert.ts";

/** A health alert to store, apart from its source. Texts are bounded and contain no NUL. */
export interface NewAlert {
  readonly alertId: string;
  /** Empty for the whole machine. */
  readonly target: string;
  readonly severity: "info" | "warning" | "critical";
  readonly message: string;
  readonly blocksInstall: boolean;
  readonly mutes: boolean;
}

/** Returns the alerts as the JSON that `replaceAlerts` reads. No two of them may have the same id and target. */
export function toAlertsJson(alerts: readonly NewAlert[]): string {
  return JSON.stringify(
    alerts.map(({ alertId, blocksInstall, ...alert }) => ({
      ...alert,
      alert_id: alertId,
      blocks_install: blocksInstall,
    })),
  );
}

/** Maximum number of alerts that one row of the history names of each kind of change. */
const maxNamed = 10;

/** Maximum length of a message in the history. */
const maxHistoryMessage = 200;

/** Returns SQL for the names of the alerts in `news` that changed in this way; null if there are none. */
function nameAlerts(change: "began" | "changed" | "ended"): string {
  const count = `count(*) filter (where change = '${change}')`;
  const text = change === "ended" ? "name" : "name || standing || message";
  return `array_to_string((array_agg(${text} order by name) filter (where change = '${change}'))[:${maxNamed}], '; ')
             || case when ${count} > ${maxNamed} then '; and ' || ${count} - ${maxNamed} || ' more' else '' end`;
}

/**
 * Common table expressions over `brought`, which has machine_id, source, actor, alerts in the form of `toAlertsJson`,
 * ttl_ms and spare_ms, and each machine at most once. They replace the source's alerts on the machine. `told` has a row
 * for each machine on which an alert began or ended, or changed its severity or its effects: machine_id, actor,
 * `detail` for the history, and `names` of those alerts. An alert that is repeated without a gap keeps `since`. The
 * alerts count for ttl_ms, and up to spare_ms longer: one that is repeated unchanged is written only if it would end
 * earlier or later than that, so that a source that repeats itself costs little.
 *
 * Stored alerts are looked up machine by machine by the primary key, and deleted by their place in the table.
 */
export const replaceAlerts = `
stated as materialized (
  select machine_id, source, actor, alert.*, now() + ttl_ms * interval '1 millisecond' as soonest,
         now() + (ttl_ms + spare_ms) * interval '1 millisecond' as until
    from brought cross join lateral jsonb_to_recordset(brought.alerts) as alert (
      alert_id text, target text, severity text, message text, blocks_install boolean, mutes boolean)
), stored as materialized (
  select stored.*, brought.actor
    from brought cross join lateral (
      select alert.*, alert.ctid as place, ${isLiving("alert")} as is_living from health_alert alert
       where alert.machine_id = brought.machine_id and alert.source = brought.source offset 0
    ) stored
), removed as (
  delete from health_alert
   where ctid = any (array(
     select place from stored left join stated using (machine_id, source, alert_id, target)
      where stated.until is null))
), written as (
  insert into health_alert (machine_id, source, alert_id, target, severity, message, blocks_install, mutes, since, until)
  select machine_id, source, alert_id, target, stated.severity, stated.message, stated.blocks_install, stated.mutes,
         case when is_living then since else now() end, stated.until
    from stated left join stored using (machine_id, source, alert_id, target)
   where (stated.severity, stated.message, stated.blocks_install, stated.mutes)
           is distinct from (stored.severity, stored.message, stored.blocks_install, stored.mutes)
      or not is_living or stored.until not between soonest and stated.until
   order by machine_id, source, alert_id, target
  on conflict (machine_id, source, alert_id, target) do update
    set severity = excluded.severity, message = excluded.message, blocks_install = excluded.blocks_install,
        mutes = excluded.mutes, since = excluded.since, until = excluded.until
), news as materialized (
  select machine_id, source, coalesce(stated.actor, living.actor) as actor,
         case when living.machine_id is null then 'began' when stated.until is null then 'ended' else 'changed' end
           as change,
         alert_id || case target when '' then '' else ' of ' || target end as name,
         ' (' || coalesce(stated.severity, living.severity)
           || case when coalesce(stated.blocks_install, living.blocks_install) then ', blocks installations' else '' end
           || case when coalesce(stated.mutes, living.mutes) then ', mutes' else '' end || ')' as standing,
         case stated.message when '' then '' else ': ' || left(stated.message, ${maxHistoryMessage}) end as message,
         coalesce(stated.blocks_install, false) as blocks
    from stated
    full join (select * from stored where is_living) living using (machine_id, source, alert_id, target)
   where (stated.severity, stated.blocks_install, stated.mutes)
           is distinct from (living.severity, living.blocks_install, living.mutes)
), told as materialized (
  select machine_id, actor, array_agg(name || standing order by name) as names,
         jsonb_build_object(
           'source', source,
           'began', ${nameAlerts("began")},
           'changed', ${nameAlerts("changed")},
           'ended', ${nameAlerts("ended")},
           'blocksInstall', case when bool_or(blocks) then 'true' end) as detail
    from news group by machine_id, source, actor
)`;
