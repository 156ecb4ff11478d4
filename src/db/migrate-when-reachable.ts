/** Migration at start, when the database may not be up yet. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { isDatabaseAway } from "./errors.ts";
import { migrateDatabase } from "./migrate.ts";

const reachTimeoutMs = 30_000;
const reachPollMs = 1_000;

/** Applies migrations, and waits for a database that is away for up to 30 s: after a power cut everything starts at once. */
export async function migrateWhenReachable(url: string, log: Logger): Promise<void> {
  const deadline = Date.now() + reachTimeoutMs;
  for (;;) {
    try {
      await migrateDatabase(url, log);
      return;
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      if (Date.now() > deadline)
        throw new Error("the database did not answer for 30 s: is DATABASE_URL right, and is it up?");
      log.warn({ err: error }, "the database is away: trying again");
      await delay(reachPollMs);
    }
  }
}
