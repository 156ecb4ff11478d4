/** Checks whether the database answers, for probes and operators. */
import { setTimeout as delay } from "node:timers/promises";
import { describeOutage } from "../db/errors.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";

/** How long readiness waits for the database's answer, in milliseconds; probes usually give up after a second. */
const pingTimeoutMs = 900;

/** Resolves to what is wrong with the database, in time for a probe, or to undefined if it answers. */
export async function findDatabaseTrouble(store: Pick<HeartbeatStore, "ping">): Promise<string | undefined> {
  const timeout = new AbortController();
  try {
    const late = delay(pingTimeoutMs, "late" as const, { signal: timeout.signal });
    const answer = await Promise.race([store.ping(), late]);
    return answer === "late" ? "the database does not answer" : undefined;
  } catch (error) {
    return describeOutage(error);
  } finally {
    timeout.abort();
  }
}
