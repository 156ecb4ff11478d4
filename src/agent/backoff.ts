/** How long agents wait, so that many of them do not call at the same moment. */

/** A number from 0 up to 1, such as Math.random gives. */
export type Random = () => number;

/** Time between heartbeats: the interval, give or take a tenth. */
export function jitter(intervalMs: number, random: Random): number {
  return intervalMs * (0.9 + 0.2 * random());
}

/**
 * Time until the next try after `failures` failures in a row, 1 or more: anything up to 1 s, 4 s, 16 s … `maxMs`, and not before
 * the time that the server named. It grows by four, not by two: agents that a short outage has met come back in a smaller crowd.
 */
export function backoff(failures: number, maxMs: number, minMs: number, random: Random): number {
  const ceilingMs = Math.min(maxMs, 1000 * 4 ** Math.min(failures - 1, 15));
  return minMs + ceilingMs * random();
}
