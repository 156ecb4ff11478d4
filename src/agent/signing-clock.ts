/** Time and nonces for signatures, also for machines whose clock is wrong by hours. Runs in Node and in browsers. */
import type { AgentSignatureClaim } from "../contract/agent-signature.ts";

/**
 * Largest difference from the server's clock that is ignored, in milliseconds: the Date field has whole seconds, and
 * the answer took time.
 */
const toleranceMs = 5_000;

/**
 * Provides `created` and `nonce` for the successive signatures of one machine. A nonce is the time in microseconds, or
 * one more than the last nonce if that is greater.
 */
export class SigningClock {
  readonly #now: () => number;
  #offsetMs = 0;
  #lastNonce = 0n;
  #lastAcceptedNonce = 0n;

  /** `now` returns the time of the machine's own clock, in milliseconds since the epoch. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Time by which the server's clock is ahead of this machine's, in milliseconds; 0 until a correction. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Returns the values for one signature. */
  next(): Pick<AgentSignatureClaim, "created" | "nonce"> {
    const nowMs = Math.max(0, this.#now() + this.#offsetMs);
    const nonce = BigInt(Math.floor(nowMs)) * 1000n;
    this.#lastNonce = nonce > this.#lastNonce ? nonce : this.#lastNonce + 1n;
    return { created: Math.floor(nowMs / 1000), nonce: this.#lastNonce };
  }

  /** Records that the server accepted a nonce, so that all later ones are greater, even after a correction. */
  accept(nonce: bigint): void {
    if (nonce > this.#lastAcceptedNonce) this.#lastAcceptedNonce = nonce;
  }

  /** Returns whether the Date field of an answer differs from the time of the next signature. */
  differsFrom(dateField: string | null): boolean {
    const offsetMs = Date.parse(dateField ?? "") - this.#now();
    return Math.abs(offsetMs - this.#offsetMs) > toleranceMs;
  }

  /**
   * Adopts the server's time from the Date field of a refusal. Nonces start again from the corrected time. Those of a
   * clock that was ahead were refused, and continuing from them would leave nonces that the machine cannot exceed after
   * a restart.
   */
  correct(dateField: string | null): void {
    const serverMs = Date.parse(dateField ?? "");
    if (Number.isNaN(serverMs)) return;
    this.#offsetMs = serverMs - this.#now();
    this.#lastNonce = this.#lastAcceptedNonce;
  }
}
