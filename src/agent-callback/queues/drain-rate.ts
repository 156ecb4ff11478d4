/** How fast a writer gets rid of what waits for it, measured while it does its utmost: by full batches. */

/** Estimates how long a queue will take, from the full batches that its writer has finished. */
export interface DrainRate {
  /** A full batch has ended well, which was one of so many that were under way. */
  add(batch: { readonly rows: number; readonly durationMs: number; readonly underWay: number }): void;
  /** How long so many rows will take, in milliseconds; 0 until a full batch has told, and when the last one did so long ago. */
  expectMs(rows: number): number;
}

/** What the last batch says weighs this much against all before it. */
const weight = 0.2;
/** What was seen longer ago says nothing of the present: whoever is kept away by it would never let it be seen again. */
const forgottenAfterMs = 5_000;

/** Creates an estimate that knows nothing yet. `now` is in milliseconds and never goes back. */
export function createDrainRate(now: () => number = () => performance.now()): DrainRate {
  let rowsPerMs: number | undefined;
  let seenAtMs = 0;
  return {
    add({ rows, durationMs, underWay }) {
      // Little's law; a clock that has not moved says nothing.
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
