/** The time that signatures carry, for machines whose clock is wrong by hours; runs in Node and in browsers. */
import type { AgentSignatureClaim } from "../contract/agent-signature.ts";

/** A clock that differs from the server's by less is right: the Date field has whole seconds, and the answer took a while. */
const toleranceMs = 5_000;

/**
 * Gives `created` and `nonce` for one machine after another signature. A nonce is the time in microseconds, at least one more
 * than the last one.
 */
export class SigningClock {
  readonly #now: () => number;
  #offsetMs = 0;
  #lastNonce = 0n;
  #lastAcceptedNonce = 0n;

  /** `now` gives milliseconds since the epoch by the machine's own clock. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** How far the server's clock is ahead of this machine's, as far as known. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Takes the time for one signature. */
  next(): Pick<AgentSignatureClaim, "created" | "nonce"> {
    const nowMs = Math.max(0, this.#now() + this.#offsetMs);
    const nonce = BigInt(Math.floor(nowMs)) * 1000n;
    this.#lastNonce = nonce > this.#lastNonce ? nonce : this.#lastNonce + 1n;
    return { created: Math.floor(nowMs / 1000), nonce: this.#lastNonce };
  }

  /** Notes that the server took a nonce, so that no later one, corrected or not, is smaller. */
  accept(nonce: bigint): void {
    if (nonce > this.#lastAcceptedNonce) this.#lastAcceptedNonce = nonce;
  }

  /** Whether the Date field of an answer says another time than the next signature would. */
  differsFrom(dateField: string | null): boolean {
    const offsetMs = Date.parse(dateField ?? "") - this.#now();
    return Math.abs(offsetMs - this.#offsetMs) > toleranceMs;
  }

  /**
   * Takes over the server's time from the Date field of a refusal. Nonces start again from the corrected time: those of a clock
   * that ran ahead were refused, and going on from them would leave the machine with nonces that it cannot exceed after a
   * restart.
   */
  correct(dateField: string | null): void {
    const serverMs = Date.parse(dateField ?? "");
    if (Number.isNaN(serverMs)) return;
    this.#offsetMs = serverMs - this.#now();
    this.#lastNonce = this.#lastAcceptedNonce;
  }
}
