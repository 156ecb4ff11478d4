/**
 * Verifies Ed25519 signatures (RFC 8032 section 5.1.7) beside the thread that serves, in libuv's pool, whose threads would be idle
 * otherwise: a verification costs more than all the rest of a heartbeat.
 *
 * So many are under way at a time. The others wait here, where they can be counted and put in order, and where nobody else who needs
 * the pool, to look up a file or a name, stands behind them.
 */
import { type KeyObject, verify } from "node:crypto";
import { defaultRetryAfterSeconds } from "../../rpc/calls/error-mapping.ts";
import { createDrainRate } from "../queues/drain-rate.ts";
import { getOverloadedError } from "../queues/overloaded-error.ts";
import { UrgentFirst } from "../queues/urgent-first.ts";

/** One signature to be verified. */
export interface SignatureCheck {
  readonly message: Uint8Array;
  readonly key: KeyObject;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** Whether it goes before those that are not; asked when it has to wait. */
  isUrgent(): boolean;
  /** Is called when one that had to wait has its turn; what it throws is what becomes of the check. */
  assertWanted(): void;
}

/** Verifies Ed25519 signatures in libuv's thread pool, urgent ones first, and bounds how many wait. */
export interface SignatureChecks {
  /** How long one that came now would wait, in milliseconds; 0 while nothing waits. */
  readonly expectedWaitMs: number;
  /** How many wait. */
  readonly waitingCount: number;
  /** Resolves with whether the key made the signature; rejects with `resource_exhausted` when too many wait. */
  verify(check: SignatureCheck): Promise<boolean>;
}

/** What keeps the pool's threads at work while the serving thread is busy for some milliseconds, and has no time to give them more. */
const maxUnderWay = 64;
/** Of those that are urgent, and of those that are not: neither takes the other's room. */
const maxWaiting = 10_000;

interface Waiting {
  readonly check: SignatureCheck;
  resolve(isGenuine: boolean): void;
  reject(error: unknown): void;
}

/** Creates signature checks with nothing under way. */
export function createSignatureChecks(): SignatureChecks {
  const waiting = new UrgentFirst<Waiting>();
  const drainRate = createDrainRate();
  let underWay = 0;
  /** Since others wait, counted anew after each so many as can be under way. */
  const busy = { sinceMs: 0, done: 0 };

  function begin({ check, resolve, reject }: Waiting): void {
    underWay++;
    try {
      verify(null, check.message, check.key, check.signature, (error, isGenuine) => {
        underWay--;
        beginNext();
        if (error === null) resolve(isGenuine);
        else reject(error);
      });
    } catch (error) {
      underWay--;
      reject(error);
    }
  }

  function beginNext(): void {
    const next = takeWanted();
    if (next === undefined) return;
    busy.done++;
    if (busy.done === maxUnderWay) {
      const nowMs = performance.now();
      drainRate.add({ rows: busy.done, durationMs: nowMs - busy.sinceMs, underWay: 1 });
      [busy.sinceMs, busy.done] = [nowMs, 0];
    }
    begin(next);
  }

  function takeWanted(): Waiting | undefined {
    for (let next = waiting.take(); next !== undefined; next = waiting.take()) {
      try {
        next.check.assertWanted();
        return next;
      } catch (error) {
        next.reject(error);
      }
    }
    return undefined;
  }

  return {
    get expectedWaitMs() {
      return drainRate.expectMs(waiting.length);
    },
    get waitingCount() {
      return waiting.length;
    },
    verify(check) {
      return new Promise((resolve, reject) => {
        const one = { check, resolve, reject };
        if (underWay < maxUnderWay) {
          begin(one);
          return;
        }
        const isUrgent = check.isUrgent();
        if (waiting.count(isUrgent) >= maxWaiting) {
          reject(getOverloadedError(defaultRetryAfterSeconds));
          return;
        }
        if (waiting.length === 0) [busy.sinceMs, busy.done] = [performance.now(), 0];
        waiting.add(one, isUrgent);
      });
    },
  };
}
