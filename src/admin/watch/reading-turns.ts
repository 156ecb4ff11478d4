/**
 * Decides when the common reader of a feed reads: at a fixed interval, and sooner when a change is announced.
 *
 * A change is readable only when every older transaction has ended. Until then the reader looks again after pauses that
 * double, and then at the interval.
 */
import type { HistoryPosition } from "../../db/queries/history-position.ts";

/** Times of a reader, in milliseconds. */
export interface TurnTimes {
  /** Time between two reads of all that can change. */
  readonly pollMs: number;
  /** Time between two reads of announced changes. */
  readonly restMs: number;
}

/** The turns of one reader. */
export interface ReadingTurns {
  /** Begins a read. Returns whether it is one of those at the interval. */
  begin(): boolean;
  /** Tells that a transaction changed the history. */
  readonly announce: (transaction: bigint) => void;
  /** Resolves when the next read is due. `reached` is where the read ended; undefined if it failed. */
  end(reached: HistoryPosition | undefined): Promise<void>;
}

/** Creates the turns. The first read is one of those at the interval. After `signal` has aborted, nothing waits. */
export function createReadingTurns({ pollMs, restMs }: TurnTimes, signal: AbortSignal): ReadingTurns {
  let pollAt = Number.NEGATIVE_INFINITY;
  let beganAt = Number.NEGATIVE_INFINITY;
  /** The newest transaction that was announced. */
  let announced = 0n;
  let pauseMs = restMs;
  let wake: () => void = () => {};

  /** Waits until `time`, by performance.now(), or until `wake` if that is sooner. */
  function waitUntil(time: number, canWake: boolean): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        wake = () => {};
        resolve();
      };
      const timer = setTimeout(end, Math.max(0, time - performance.now()));
      signal.addEventListener("abort", end, { once: true });
      if (canWake) wake = end;
      if (signal.aborted) end();
    });
  }

  return {
    begin() {
      beganAt = performance.now();
      const isPoll = beganAt >= pollAt;
      if (isPoll) pollAt = beganAt + pollMs;
      return isPoll;
    },
    announce(transaction) {
      if (transaction <= announced) return;
      announced = transaction;
      pauseMs = restMs;
      wake();
    },
    async end(reached) {
      if (reached === undefined) return await waitUntil(pollAt, false);
      const isBehind = () => reached.transaction < announced;
      if (!isBehind()) await waitUntil(pollAt, true);
      if (!isBehind()) return;
      await waitUntil(Math.min(pollAt, beganAt + pauseMs), false);
      pauseMs *= 2;
    },
  };
}
