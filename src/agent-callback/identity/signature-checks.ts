/**
 * Verifies Ed25519 signatures (RFC 8032 section 5.1.7) in libuv's thread pool, which would otherwise be idle, because a
 * verification costs more than the rest of a heartbeat.
 *
 * The number of concurrent verifications is limited. Others wait here, where they can be counted and ordered, and where
 * they do not delay other users of the pool, such as file access and name lookups.
 */
import { type KeyObject, verify } from "node:crypto";
import { defaultRetryAfterSeconds } from "../../rpc/calls/error-mapping.ts";
import { getOverloadedError } from "../queues/overloaded-error.ts";
import { UrgentFirst } from "../queues/urgent-first.ts";

/** A signature to verify. */
export interface SignatureCheck {
  readonly message: Uint8Array;
  readonly key: KeyObject;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** Returns whether it is verified before those that are not urgent. Called if it has to wait. */
  isUrgent(): boolean;
  /** Called when it is the turn of a check that had to wait. If it throws, the check rejects with that error. */
  assertWanted(): void;
}

/** Verifies Ed25519 signatures in libuv's thread pool, urgent ones first, with a limit on those that wait. */
export interface SignatureChecks {
  /** Expected wait of a check that is added now, in milliseconds; 0 while none wait. */
  readonly expectedWaitMs: number;
  /** Number of waiting checks. */
  readonly waitingCount: number;
  /** Resolves to whether the signature is by the key. Rejects with `resource_exhausted` if too many wait. */
  verify(check: SignatureCheck): Promise<boolean>;
}

/**
 * Maximum number of concurrent verifications. It keeps the pool's threads busy while the main thread works for some
 * milliseconds and cannot start more.
 */
const maxUnderWay = 64;
/**
 * Maximum number of waiting checks that are urgent, and also of those that are not: neither kind takes the other's
 * places.
 */
const maxWaiting = 10_000;

interface Waiting {
  readonly check: SignatureCheck;
  resolve(isGenuine: boolean): void;
  reject(error: unknown): void;
}

/** Creates signature checks with nothing under way. */
export function createSignatureChecks(): SignatureChecks {
  const waiting = new UrgentFirst<Waiting>();
  let underWay = 0;
  /**
   * Start of the current measurement and the number of checks begun since, while others wait. Begins anew after every
   * `maxUnderWay` checks.
   */
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
      waiting.noteBatch(busy.done, nowMs - busy.sinceMs, 1);
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
      return waiting.expectedWaitMs;
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
