/**
 * SQL that stores the identifiers of hardware reports, for the statements that store reports. It only writes what
 * changed: most reports that differ have the same parts.
 */

/**
 * Common table expressions over `hardware_news`, which has machine_id, identifiers (a JSON array of `Identifier`, as
 * text or jsonb; null if they are the stored ones) and identified_at, the time of the report, and each machine at most
 * once. The transaction must hold the machine's agent_started row, or keep heartbeats away from it in another way.
 *
 * What a report lacks and the table has gets the report's time as gone_at, what returns loses it, and machines with
 * something new are noted in uncompared_machine. Every row goes through the unique index, machine by machine, so
 * PostgreSQL cannot join the whole table, however outdated its statistics are.
 */
export const storeIdentifiers = `
identified as materialized (
  select machine_id, kind, value, scope, shown, part, identified_at
    from hardware_news
   cross join lateral jsonb_to_recordset(identifiers::jsonb) as input (kind text, value text, scope text, shown text, part text)
), held_identifiers as materialized (
  select stored.*, identified_at
    from hardware_news cross join lateral (
      select machine_id, kind, value, scope, shown, part from machine_identifier stored
       where stored.machine_id = hardware_news.machine_id and gone_at is null and identifiers is not null offset 0
    ) stored
), identifiers_stored as (
  insert into machine_identifier as stored (machine_id, kind, value, scope, shown, part, first_seen_at, since, gone_at)
  select machine_id, kind, value, scope, shown, part, identified_at, identified_at, gone_at
    from (
      select *, null::timestamptz as gone_at from identified
       where not exists (
         select from held_identifiers held
          where held.machine_id = identified.machine_id and held.kind = identified.kind
            and held.value = identified.value and held.scope = identified.scope
            and held.shown = identified.shown and held.part = identified.part)
       union all
      select *, identified_at from held_identifiers held
       where not exists (
         select from identified
          where held.machine_id = identified.machine_id and held.kind = identified.kind
            and held.value = identified.value and held.scope = identified.scope)
    ) changed
   order by machine_id, kind, value, scope
  on conflict (machine_id, kind, value, scope) do update
    set shown = excluded.shown, part = excluded.part, gone_at = excluded.gone_at,
        since = case when stored.gone_at is null then stored.since else excluded.since end
  returning machine_id
), uncompared_stored as (
  insert into uncompared_machine (machine_id)
  select distinct machine_id from identifiers_stored order by machine_id
  on conflict (machine_id) do update set transaction = excluded.transaction
)`;
