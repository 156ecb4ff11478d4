/** Migrates at start, when the database may not be up yet. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { describeOutage, isDatabaseAway, ReadOnlyDatabaseError } from "./errors.ts";
import { migrateDatabase } from "./migrate.ts";

const reachTimeoutMs = 30_000;
const reachPollMs = 1_000;

/**
 * Applies migrations. Waits up to 30 s for a database that is away or read-only, since after a power cut everything
 * starts at once. Throws what `migrateDatabase` throws, or an error that says what is wrong after 30 s.
 */
export async function migrateWhenReachable(url: string, log: Logger): Promise<void> {
  const deadline = Date.now() + reachTimeoutMs;
  for (;;) {
    try {
      await migrateDatabase(url, log);
      return;
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      const trouble = describeOutage(error);
      if (Date.now() > deadline) throw giveUp(trouble, error);
      log.warn({ err: error }, `${trouble}; retrying`);
      await delay(reachPollMs);
    }
  }
}

function giveUp(trouble: string, error: unknown): Error {
  const { message } = error instanceof ReadOnlyDatabaseError ? error : { message: trouble };
  return new Error(`${message}, and was for 30 s: is DATABASE_URL right, and is it up?`, { cause: error });
}
