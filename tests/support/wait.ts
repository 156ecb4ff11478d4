/** Waits for events in other processes and on connections. */
import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";

/**
 * Waits until `condition` returns something other than undefined or false, and returns that. Throws after `timeoutMs`.
 */
export async function waitUntil<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 50_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  // What takes long is asked for less often.
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 1.2, 100)) {
    const result = await condition();
    if (result !== undefined && result !== false) return result;
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await delay(pauseMs);
  }
}

/** Waits until at least `count` sessions of this database are waiting for locks. */
export async function waitForBlockedSessions(client: pg.ClientBase | pg.Pool, count: number): Promise<void> {
  await waitUntil(`${count} sessions wait for a lock`, async () => {
    // Within a transaction, PostgreSQL shows what it showed first.
    await client.query("select pg_stat_clear_snapshot()");
    const { rows } = await client.query<{ blocked: number }>(
      `select count(*)::int as blocked from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return (rows[0]?.blocked ?? 0) >= count;
  });
}
