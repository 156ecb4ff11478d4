/**
 * Verifies Ed25519 signatures (RFC 8032 section 5.1.7) beside the thread that serves, in libuv's pool, whose threads would be idle
 * otherwise: a verification costs more than all the rest of a heartbeat.
 *
 * So many are under way at a time. The others wait here, where they can be counted and put in order, and where nobody else who needs
 * the pool, to look up a file or a name, stands behind them.
 */
import { type KeyObject, verify } from "node:crypto";
import { createDrainRate } from "../drain-rate.ts";
import { UrgentFirst } from "../urgent-first.ts";

/** One signature to be verified. */
export interface SignatureCheck {
  readonly message: Uint8Array;
  readonly key: KeyObject;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** Whether it goes before those that are not; asked when it has to wait. */
  isUrgent(): boolean;
}

/** See the module's text. */
export interface SignatureChecks {
  /** How long one that came now would wait, in milliseconds; 0 while nothing waits. */
  readonly expectedWaitMs: number;
  /** Resolves with whether the key made the signature. */
  verify(check: SignatureCheck): Promise<boolean>;
}

/** What keeps the pool's threads at work while the serving thread is busy for some milliseconds, and has no time to give them more. */
const maxUnderWay = 64;

interface Waiting {
  readonly check: SignatureCheck;
  resolve(isGenuine: boolean): void;
  reject(error: Error): void;
}

/** Nothing waits yet. */
export function createSignatureChecks(): SignatureChecks {
  const waiting = new UrgentFirst<Waiting>();
  const drainRate = createDrainRate();
  let underWay = 0;
  /** Since others wait, counted anew after each so many as can be under way. */
  const busy = { sinceMs: 0, done: 0 };

  function begin({ check, resolve, reject }: Waiting): void {
    underWay++;
    verify(null, check.message, check.key, check.signature, (error, isGenuine) => {
      underWay--;
      beginNext();
      if (error === null) resolve(isGenuine);
      else reject(error);
    });
  }

  function beginNext(): void {
    const next = waiting.take();
    if (next === undefined) return;
    busy.done++;
    if (busy.done === maxUnderWay) {
      const nowMs = performance.now();
      drainRate.add({ rows: busy.done, durationMs: nowMs - busy.sinceMs, underWay: 1 });
      [busy.sinceMs, busy.done] = [nowMs, 0];
    }
    begin(next);
  }

  return {
    get expectedWaitMs() {
      return drainRate.expectMs(waiting.length);
    },
    verify(check) {
      return new Promise((resolve, reject) => {
        const one = { check, resolve, reject };
        if (underWay < maxUnderWay) {
          begin(one);
          return;
        }
        if (waiting.length === 0) [busy.sinceMs, busy.done] = [performance.now(), 0];
        waiting.add(one, check.isUrgent());
      });
    },
  };
}
