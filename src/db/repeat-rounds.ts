/** Repeats work on the database in the background, whatever fails meanwhile. */
import type { Logger } from "pino";
import { pause } from "../base/pause.ts";
import { describeOutage, isDatabaseAway } from "./errors.ts";

/** Work that is repeated, one round after the other. */
export interface Rounds {
  /** What failed if a round fails, such as "could not delete old events". */
  readonly failure: string;
  /** Runs a round, which should end before its next step once `signal` has aborted. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** Returns the time until the next round after one that went well, in milliseconds. */
  readonly getPauseMs: () => number;
  /** Time until the next round after one that failed, in milliseconds. */
  readonly retryMs: number;
  readonly log: Logger;
}

/** Rounds in the background. */
export interface BackgroundRounds {
  /** Keeps them from starting anything new; does not wait. */
  stop(): void;
  /** Stops the round under way before its next step, and waits for that. */
  close(): Promise<void>;
}

/** Time after which rounds that go on failing are told of again, in milliseconds. */
const tellAgainMs = 60 * 60 * 1000;

/** Starts the first round at once. Of rounds that fail one after the other, the log has one an hour. */
export function startRounds(rounds: Rounds): BackgroundRounds {
  const closing = new AbortController();
  const running = repeat(rounds, closing.signal);
  const stop = () => closing.abort();
  return {
    stop,
    close: () => {
      stop();
      return running;
    },
  };
}

async function repeat({ failure, run, getPauseMs, retryMs, log }: Rounds, signal: AbortSignal): Promise<void> {
  let toldAtMs: number | undefined;
  while (!signal.aborted) {
    let waitMs = retryMs;
    try {
      await run(signal);
      waitMs = getPauseMs();
      toldAtMs = undefined;
    } catch (error) {
      // A server that shuts down interrupts its own statements.
      if (signal.aborted) return;
      const nowMs = performance.now();
      if (toldAtMs === undefined || nowMs - toldAtMs >= tellAgainMs) {
        const reason = isDatabaseAway(error) ? describeOutage(error) : "a statement failed";
        log.warn({ err: error }, `${failure}: ${reason}; retrying`);
        toldAtMs = nowMs;
      }
    }
    await pause(waitMs, signal);
  }
}
