/**
 * Counts how often machines change from one state to another.
 *
 * Time changes states as well as heartbeats and operators do, so no writer sees all changes. Therefore a count compares
 * the state that each machine has now with the one in which the last count saw it, by merging indexes as counting the
 * fleet does, and adds the differences to numbers in the database. These never shrink, and are the same for all
 * servers. Changes that a later one follows before the next count are not seen.
 */
import { sql } from "drizzle-orm";
import type { Database } from "../client.ts";
import { machine, machineSeenState, machineState, stateTransition } from "../schema/index.ts";
import { transact } from "../transact.ts";
import { prepareCounting } from "./counting.ts";

/** How often machines changed from one state to another since the first count. */
export type StateTransition = typeof stateTransition.$inferSelect;

/** Advisory lock of the process that counts; the others read the numbers before its count. */
const countLock = 0x7374_6174;

/**
 * Counts the changes since the last count, unless another process is doing so, and returns all numbers. Keeps the
 * machines whose state it notes, in the order of their ids: one that is deleted meanwhile is waited for and left out.
 */
export function countStateTransitions(db: Database): Promise<StateTransition[]> {
  return transact(db, async (tx) => {
    const { rows } = await tx.execute<{ free: boolean }>(sql`select pg_try_advisory_xact_lock(${countLock}) as free`);
    if (rows[0]?.free === true) {
      await tx.execute(prepareCounting);
      await tx.execute(sql`
        with changed as materialized (
          select state.machine_id, seen.state as before, state.state as after
            from ${machineState} as state left join ${machineSeenState} as seen on seen.machine_id = state.machine_id
           where seen.state is distinct from state.state
        ), seen as (
          insert into ${machineSeenState} (machine_id, state)
          select machine_id, after
            from (select * from changed order by machine_id) changed
           cross join lateral (
             select from ${machine} where machine.id = changed.machine_id limit 1 for key share
           ) kept
          on conflict (machine_id) do update set state = excluded.state
        )
        insert into ${stateTransition} (from_state, to_state, transitions)
        select before, after, count(*) from changed where before is not null group by before, after
        on conflict (from_state, to_state) do update
          set transitions = state_transition.transitions + excluded.transitions`);
    }
    return await tx.select().from(stateTransition);
  });
}
