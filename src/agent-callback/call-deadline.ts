/** Bounds what a call waits for, so that its caller still listens when it is told that there was no answer. */
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";

/** Longest that a call waits for the database, in milliseconds; agents in the field hang up after 10 s. */
const maxWaitMs = 8_000;
/** What is left of a caller's own deadline to tell it: this share, or so many milliseconds, but no more than half. */
const answerMargin = { share: 0.1, leastMs: 200, mostShare: 0.5 };
/** A database that is given less to answer, in milliseconds, is not to blame for a caller's deadline that passes. */
const fairWaitMs = 1_000;

/** Until when a call waits. */
export interface WaitEnd {
  /** By performance.now(). */
  readonly atMs: number;
  /** Whether its caller's own deadline decides; otherwise it is the server's patience. */
  readonly isCallers: boolean;
}

/** Until when a call waits for the database; set before its handler runs. */
export const waitEndKey = createContextKey<WaitEnd>(
  { atMs: 0, isCallers: false },
  { description: "until when the call waits for the database" },
);

/** Whether somebody still waits; as an AbortSignal says it, which costs more to make than the rest of a short wait. */
export type Patience = Pick<AbortSignal, "aborted" | "reason">;

/** The end for a call that arrived at `arrivedAtMs`, by performance.now(), and whose caller waits `timeoutMs`. */
export function findWaitEnd(timeoutMs: number | undefined, arrivedAtMs: number): WaitEnd {
  if (timeoutMs === undefined) return { atMs: arrivedAtMs + maxWaitMs, isCallers: false };
  const { share, leastMs, mostShare } = answerMargin;
  const waitMs = timeoutMs - Math.max(share * timeoutMs, Math.min(leastMs, mostShare * timeoutMs));
  return { atMs: arrivedAtMs + Math.min(maxWaitMs, waitMs), isCallers: waitMs < maxWaitMs };
}

/**
 * Runs `work`, and lets it see when nobody waits for it any more. Rejects with a ConnectError then: `deadline_exceeded` when the
 * caller's own deadline left the database no fair time to answer, `unavailable` otherwise.
 */
export function finishInTime<T>({ atMs, isCallers }: WaitEnd, work: (patience: Patience) => Promise<T>): Promise<T> {
  const leftMs = Math.max(0, atMs - performance.now());
  return new Promise((resolve, reject) => {
    const patience = { aborted: false, reason: undefined as unknown };
    const expire = () => {
      patience.aborted = true;
      patience.reason = isCallers && leftMs < fairWaitMs ? deadlinePassed() : databaseSilent();
      reject(patience.reason);
    };
    const timer = setTimeout(expire, leftMs);
    work(patience).then(
      (result) => {
        clearTimeout(timer);
        resolve(result);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

function deadlinePassed(): ConnectError {
  return new ConnectError("the call's own deadline leaves no time to answer it", Code.DeadlineExceeded);
}

function databaseSilent(): ConnectError {
  return new ConnectError("the database does not answer: send the call again later", Code.Unavailable);
}
