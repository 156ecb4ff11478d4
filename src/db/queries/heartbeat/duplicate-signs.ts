/**
 * SQL that detects two machines with one key: a boot id or serial number comes back after another one had replaced it.
 * A value that changes and stays changed belongs to another boot or a new board. Earlier values are kept in agent_past,
 * which is written only when a value changes.
 */
import type { duplicateSigns } from "../../schema/duplicate-agent.ts";

/** A detected case of two machines with one key: the value that came back. */
export interface DuplicateSign {
  readonly sign: (typeof duplicateSigns)[number];
  readonly value: string;
  /** The value that it replaced. */
  readonly otherValue: string;
}

/** A kind of value that is checked, and how. */
interface Followed {
  readonly sign: DuplicateSign["sign"];
  /** The column of agent_past that keeps the earlier values. */
  readonly column: "boot_ids" | "serial_numbers";
  /** How long after the last sign the machine still counts as two: an interval in SQL over the columns of `changed`. */
  readonly patience: string;
}

/**
 * Maximum number of earlier values kept of each kind. If more machines than that share a key, some returns go
 * undetected.
 */
const maxPast = 16;

/**
 * Joins the rows `changed` with their machine's earlier values as `past_values`, and with the end of a known case as
 * `duplicate_until`. Either may be null.
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
 * Returns common table expressions over `changed`, which has machine_id, public_key, slot, value, previous, past_values
 * and duplicate_until, and each machine at most once. `returned` holds the rows whose value came back; `began` holds
 * those of them whose machine did not count as two before. Stores the earlier values and the signs.
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

/**
 * Returns a select, for a union, of the history entries for `began`: machine_id, public_key, position, kind, detail.
 */
export const selectBegan = (sign: DuplicateSign["sign"], position: number) => `
      select machine_id, public_key, ${position} as position, 'agent_duplicated' as kind,
             jsonb_build_object('sign', '${sign}', 'value', value, 'otherValue', previous) as detail
        from began`;
