/** Aborts when a time is over that may be a share of another one. */

/** Returns a signal that aborts after `durationMs`. AbortSignal.timeout takes whole milliseconds only. */
export function abortAfter(durationMs: number): AbortSignal {
  return AbortSignal.timeout(Math.ceil(durationMs));
}
