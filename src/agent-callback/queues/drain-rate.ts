/** Measures how fast a writer processes its queue, from full batches, since only those show its capacity. */

/** Estimates how long a queue will take, from the full batches that its writer has finished. */
export interface DrainRate {
  /** Adds a full batch that has succeeded. `underWay` is the number of concurrent batches, including this one. */
  add(batch: { readonly rows: number; readonly durationMs: number; readonly underWay: number }): void;
  /**
   * Returns how long `rows` will take, in milliseconds. Returns 0 before the first full batch, and when the last one
   * was too long ago.
   */
  expectMs(rows: number): number;
}

/** Weight of the last batch against all earlier ones. */
const weight = 0.2;
/**
 * Age at which a measurement is forgotten, in milliseconds. Otherwise callers refused because of it would prevent a new
 * measurement for ever.
 */
const forgottenAfterMs = 5_000;

/** Creates an estimate without measurements. `now` is in milliseconds and never goes back. */
export function createDrainRate(now: () => number = () => performance.now()): DrainRate {
  let rowsPerMs: number | undefined;
  let seenAtMs = 0;
  return {
    add({ rows, durationMs, underWay }) {
      // Little's law. The minimum avoids a division by zero.
      const present = (underWay * rows) / Math.max(durationMs, 0.1);
      rowsPerMs = rowsPerMs === undefined ? present : rowsPerMs + weight * (present - rowsPerMs);
      seenAtMs = now();
    },
    expectMs(rows) {
      if (rows === 0 || rowsPerMs === undefined) return 0;
      if (now() - seenAtMs > forgottenAfterMs) rowsPerMs = undefined;
      return rowsPerMs === undefined ? 0 : rows / rowsPerMs;
    },
  };
}
