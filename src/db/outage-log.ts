/**
 * Says in the log once what is wrong with the database and once that it is back, however many calls fail in between.
 */
import type { Logger } from "pino";
import { describeOutage, isDatabaseAway } from "./errors.ts";
import type { HeartbeatStore } from "./heartbeat-store.ts";

/** The same store; its outages are logged. */
export function logOutages(store: HeartbeatStore, log: Logger): HeartbeatStore {
  let failures = 0;
  /** What was said of the outage: after a failover, for example, one that was away is a standby at first. */
  const said = new Set<string>();
  /** When the last change was seen; a call that began before it says nothing of the time after it. */
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
    log.error({ err: error }, `${trouble}: heartbeats are answered with unavailable until it is back`);
  }

  function noteReturn(): void {
    const nowMs = performance.now();
    log.info({ failedCalls: failures, awayMs: Math.round(nowMs - changedAtMs) }, "the database is back");
    failures = 0;
    said.clear();
    changedAtMs = nowMs;
  }

  return {
    write: (rows) => watch(() => store.write(rows)),
    deliver: (rows) => watch(() => store.deliver(rows)),
    readPublicKeys: (machineIds) => watch(() => store.readPublicKeys(machineIds)),
    ping: () => watch(() => store.ping()),
    getPoolUsage: () => store.getPoolUsage(),
    close: () => store.close(),
  };
}
