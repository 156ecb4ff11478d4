/**
 * SQL that notices two machines with one key: a value that tells machines or boots apart comes back after another one
 * had taken its place. One that changes and stays changed is another boot, or a new board. What came before is kept in
 * agent_past, which is written only when a value changes.
 */
import type { duplicateSigns } from "../../schema/duplicate-agent.ts";

/** That two machines with one key were noticed, by the value that came back. */
export interface DuplicateSign {
  readonly sign: (typeof duplicateSigns)[number];
  readonly value: string;
  /** In whose place it came. */
  readonly otherValue: string;
}

/** How a value is followed. */
interface Followed {
  readonly sign: DuplicateSign["sign"];
  /** The column of agent_past that keeps the values before. */
  readonly column: "boot_ids" | "serial_numbers";
  /** How long after the last sign the machine is taken for two, an interval in SQL over the columns of `changed`. */
  readonly patience: string;
}

/** How many values before are kept of each kind: with more machines of one key than that, some come back unnoticed. */
const maxPast = 16;

/**
 * Joins rows `changed` with what is known of their machine, as `past_values` and `duplicate_until`; either may be null.
 */
export const joinPast = (column: Followed["column"]) => `
    left join lateral (
      select ${column} as past_values from agent_past past where past.machine_id = changed.machine_id limit 1
    ) past on true
    left join lateral (
      select until as duplicate_until from duplicate_agent duplicate
       where duplicate.machine_id = changed.machine_id limit 1
    ) duplicate on true`;

/**
 * Common table expressions over `changed`, which has machine_id, public_key, slot, value, previous, past_values and
 * duplicate_until, each machine once: the rows whose value came back are `returned`, and those of them before which the
 * machine was not taken for two are `began`.
 */
export function noteReturns({ sign, column, patience }: Followed): string {
  return `past_stored as (
  insert into agent_past (machine_id, ${column})
  select machine_id, array[previous] from changed where previous is not null order by machine_id
  on conflict (machine_id) do update
    set ${column} = (array_remove(agent_past.${column}, excluded.${column}[1]))
                      [greatest(1, cardinality(agent_past.${column}) - ${maxPast - 2}):] || excluded.${column}
), returned as materialized (
  select * from changed where value = any (past_values)
), duplicate_stored as (
  insert into duplicate_agent (machine_id, sign, value, other_value, since, seen_at, until)
  select machine_id, '${sign}', value, previous, now(), now(), now() + ${patience} from returned order by machine_id
  on conflict (machine_id) do update
    set sign = excluded.sign, value = excluded.value, other_value = excluded.other_value,
        since = case when duplicate_agent.until < excluded.seen_at then excluded.since else duplicate_agent.since end,
        seen_at = excluded.seen_at, until = greatest(duplicate_agent.until, excluded.until)
), began as materialized (
  select * from returned where duplicate_until is null or duplicate_until < now()
)`;
}

/** The rows of the history that `began` adds, for a union: machine_id, public_key, position, kind, detail. */
export const selectBegan = (sign: DuplicateSign["sign"], position: number) => `
      select machine_id, public_key, ${position} as position, 'agent_duplicated' as kind,
             jsonb_build_object('sign', '${sign}', 'value', value, 'otherValue', previous) as detail
        from began`;
