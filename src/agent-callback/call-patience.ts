/**
 * Bounds how long a call waits, so that the caller still waits when it gets the error, and records that a call has
 * ended, so that remaining work for it can stop.
 */
import { Code, ConnectError, type ContextValues, createContextKey } from "@connectrpc/connect";
import type { CallRecord } from "../rpc/calls/call-record.ts";
import { callerGone } from "../rpc/wire/request-body.ts";

/** Longest wait of a call for the database, in milliseconds. Agents in the field disconnect after 10 s. */
const maxWaitMs = 8_000;
/**
 * Part of a caller's own deadline that is reserved for sending the error: `share` of it, but at least the lesser of
 * `leastMs` and `mostShare` of it.
 */
const answerMargin = { share: 0.1, leastMs: 200, mostShare: 0.5 };
/**
 * If the database had less time than this, in milliseconds, a caller's deadline that passes is not the database's
 * fault.
 */
const fairWaitMs = 1_000;

/** End of a call's wait. */
export interface WaitEnd {
  /** By performance.now(). */
  readonly atMs: number;
  /** Whether the caller's own deadline decides, and not the server's limit. */
  readonly isCallers: boolean;
}

/** Context key of the end of a call's wait for the database, set before its handler runs. */
export const waitEndKey = createContextKey<WaitEnd>(
  { atMs: 0, isCallers: false },
  { description: "until when the call waits for the database" },
);

/**
 * Shows whether a caller still waits, as an AbortSignal does. Creating an AbortSignal costs more than the rest of a
 * short wait.
 */
export type Patience = Pick<AbortSignal, "aborted" | "reason">;

/**
 * Returns the end for a call that arrived at `arrivedAtMs`, by performance.now(), and whose caller waits `timeoutMs`.
 */
export function findWaitEnd(timeoutMs: number | undefined, arrivedAtMs: number): WaitEnd {
  if (timeoutMs === undefined) return { atMs: arrivedAtMs + maxWaitMs, isCallers: false };
  const { share, leastMs, mostShare } = answerMargin;
  const waitMs = timeoutMs - Math.max(share * timeoutMs, Math.min(leastMs, mostShare * timeoutMs));
  return { atMs: arrivedAtMs + Math.min(maxWaitMs, waitMs), isCallers: waitMs < maxWaitMs };
}

/**
 * Runs `work` until the end of the wait, and shows it by `patience` when that has passed. Rejects with a ConnectError
 * then: `deadline_exceeded` if the caller's own deadline left the database too little time to answer, or `unavailable`.
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
  return new ConnectError("the call's deadline leaves no time to answer it", Code.DeadlineExceeded);
}

function databaseSilent(): ConnectError {
  return new ConnectError("the database does not answer: retry later", Code.Unavailable);
}

/** Context key of whether a call is over. Setting it is cheaper than creating the signal of the call's context. */
const isOverKey = createContextKey(false, { description: "whether the call is over" });

/** Records that a call has ended, answered or not. */
export function noteCallEnd({ values }: Pick<CallRecord, "values">): void {
  values.set(isOverKey, true);
}

/** Throws a ConnectError with `canceled` if the call has ended. */
export function assertGoesOn(values: ContextValues): void {
  if (values.get(isOverKey)) throw callerGone();
}

/** Returns a patience that ends when the call ends or when `others` does. */
export function patienceOf(values: ContextValues, others: Patience): Patience {
  return new CallersPatience(values, others);
}

class CallersPatience implements Patience {
  readonly #values: ContextValues;
  readonly #others: Patience;

  constructor(values: ContextValues, others: Patience) {
    this.#values = values;
    this.#others = others;
  }

  get aborted(): boolean {
    return this.#others.aborted || this.#values.get(isOverKey);
  }

  get reason(): unknown {
    return this.#others.aborted ? this.#others.reason : callerGone();
  }
}
