/** Waits that end early. */
import { setTimeout as delay } from "node:timers/promises";

/** Waits for `durationMs`. Resolves early when `signal` is aborted, and does not keep the process alive. */
export async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  await delay(durationMs, undefined, { signal, ref: false }).catch(() => {});
}
