/** How long to wait after attempts that failed. */
import { failuresToRest, type RetryDelays } from "../db/queries/receiver-delivery.ts";

/** Waits of a delivery after its first failed attempts, in milliseconds; the last one repeats until the day is over. */
const deliveryDelaysMs: readonly number[] = [5_000, 15_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000];
/** Wait of a receiver that begins to rest, in milliseconds. It doubles with each failure. */
const firstRestMs = 5_000;
const longestRestMs = 300_000;
/** Share by which a wait is lengthened at random, so that deliveries that failed together are not sent together. */
const jitter = 0.1;

/** What is known when an attempt has failed. */
export interface FailedAttempt {
  /** Attempts of the delivery, this one included. */
  readonly attempts: number;
  /** Failed attempts of the receiver in a row, this one included. */
  readonly failures: number;
  /** How long the receiver asks not to be called. */
  readonly retryAfterMs: number;
}

/** Returns the waits before the next attempt of the delivery, and before the next call of its receiver. */
export function chooseRetryDelays(
  { attempts, failures, retryAfterMs }: FailedAttempt,
  random: () => number = Math.random,
): RetryDelays {
  const lengthen = (delayMs: number) => Math.round(delayMs * (1 + jitter * random()));
  const deliveryMs = deliveryDelaysMs[Math.min(attempts, deliveryDelaysMs.length) - 1] ?? 0;
  const rests = failures - failuresToRest;
  const restMs = rests < 0 ? 0 : Math.min(longestRestMs, firstRestMs * 2 ** Math.min(rests, 10));
  return {
    deliveryMs: Math.max(lengthen(deliveryMs), retryAfterMs),
    receiverMs: Math.max(lengthen(restMs), retryAfterMs),
  };
}
