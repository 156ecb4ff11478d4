/** Logs an outage of the database once, and once that it is over, however many calls fail in between. */
import type { Logger } from "pino";
import { describeOutage, isDatabaseAway } from "./errors.ts";
import type { HeartbeatStore } from "./heartbeat-store.ts";

/** Returns a store that passes every call to `store` and logs its outages. */
export function logOutages(store: HeartbeatStore, log: Logger): HeartbeatStore {
  let failures = 0;
  /**
   * Troubles that were logged during this outage. A database can, for example, be away first and then, after a
   * failover, read-only.
   */
  const said = new Set<string>();
  /** When the outage last began or ended. A call that began before then says nothing about the time since. */
  let changedAtMs = 0;

  async function watch<T>(call: () => Promise<T>): Promise<T> {
    const beganAtMs = performance.now();
    try {
      const result = await call();
      if (failures > 0 && beganAtMs > changedAtMs) noteReturn();
      return result;
    } catch (error) {
      if (isDatabaseAway(error) && (failures > 0 || beganAtMs > changedAtMs)) noteFailure(error);
      throw error;
    }
  }

  function noteFailure(error: unknown): void {
    if (failures++ === 0) changedAtMs = performance.now();
    const trouble = describeOutage(error);
    if (said.has(trouble)) return;
    said.add(trouble);
    log.error({ err: error }, `${trouble}: heartbeats get unavailable until it is reachable again`);
  }

  function noteReturn(): void {
    const nowMs = performance.now();
    log.info({ failedCalls: failures, awayMs: Math.round(nowMs - changedAtMs) }, "the database is reachable again");
    failures = 0;
    said.clear();
    changedAtMs = nowMs;
  }

  return {
    write: (rows) => watch(() => store.write(rows)),
    deliver: (rows) => watch(() => store.deliver(rows)),
    readPublicKeys: (machineIds) => watch(() => store.readPublicKeys(machineIds)),
    readMachineIds: (publicKeys) => watch(() => store.readMachineIds(publicKeys)),
    ping: () => watch(() => store.ping()),
    getPoolUsage: () => store.getPoolUsage(),
    close: () => store.close(),
  };
}
