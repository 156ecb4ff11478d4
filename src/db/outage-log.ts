/** Says in the log once that the database went away and once that it is back, however many calls fail in between. */
import type { Logger } from "pino";
import { isDatabaseAway } from "./errors.ts";
import type { HeartbeatStore } from "./heartbeat-store.ts";

/** The same store; its outages are logged. */
export function logOutages(store: HeartbeatStore, log: Logger): HeartbeatStore {
  let failures = 0;
  let awaySinceMs = 0;

  async function watch<T>(call: Promise<T>): Promise<T> {
    try {
      const result = await call;
      if (failures > 0) {
        log.info({ failedCalls: failures, awayMs: Date.now() - awaySinceMs }, "the database is back");
        failures = 0;
      }
      return result;
    } catch (error) {
      if (isDatabaseAway(error)) {
        if (failures++ === 0) {
          awaySinceMs = Date.now();
          log.error({ err: error }, "the database is away: heartbeats are answered with unavailable until it is back");
        }
      }
      throw error;
    }
  }

  return {
    write: (rows) => watch(store.write(rows)),
    findPublicKey: (machineId) => watch(store.findPublicKey(machineId)),
    ping: () => watch(store.ping()),
    close: () => store.close(),
  };
}
