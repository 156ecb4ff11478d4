/** Computes how long agents wait, so that many of them do not call at the same moment. */

/** Returns a number from 0 up to 1, like Math.random. */
export type Random = () => number;

/** Returns the time between heartbeats: the interval, plus or minus up to a tenth. */
export function jitter(intervalMs: number, random: Random): number {
  return intervalMs * (0.9 + 0.2 * random());
}

/**
 * Returns the time until the next attempt after `failures` consecutive failures (1 or more): `minMs`, which is the time
 * that the server named, plus a random time of up to 1 s, 4 s, 16 s … `maxMs`. The factor is four, and not two, so that
 * agents return in smaller groups after a short outage.
 */
export function backoff(failures: number, maxMs: number, minMs: number, random: Random): number {
  const ceilingMs = Math.min(maxMs, 1000 * 4 ** Math.min(failures - 1, 15));
  return minMs + ceilingMs * random();
}
