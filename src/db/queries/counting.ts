/** Settings for statements that read the whole fleet. */
import { sql } from "drizzle-orm";

/**
 * Settings for the rest of the transaction, and its time. Indexes return every table in the order of the machines' ids,
 * so PostgreSQL merges them as it reads. That takes a third of the time of hashing and no memory, but the planner would
 * not choose it. One process of PostgreSQL does it, so that the other cores stay free for heartbeats. work_mem covers
 * what the planner expects groups to need, which is more than the few real ones take, and the sorted heartbeats of some
 * 400,000 machines.
 */
export const prepareCounting = sql`
select now() as at, set_config('enable_hashjoin', 'off', true), set_config('work_mem', '32MB', true),
       set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)`;
