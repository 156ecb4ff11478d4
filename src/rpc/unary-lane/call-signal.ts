/**
 * The deadline of a call, and the signal that tells a handler of the deadline and of the call's end. The signal and its
 * timer are created on first use.
 */
import { Code, ConnectError } from "@connectrpc/connect";

/**
 * Reason with which the signal of a successful call is aborted. It is shared, since creating one costs more than all
 * other work at a call's end.
 */
const completed = new DOMException("This operation was aborted", "AbortError");

/** Deadline and signal of one call. */
export class CallSignal {
  /** By Date.now(); undefined without a deadline. */
  readonly #deadlineMs: number | undefined;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #reason: unknown;

  /** `timeoutMs` is the time left until the deadline. */
  constructor(timeoutMs: number | undefined) {
    this.#deadlineMs = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  }

  /** Returns the time left until the deadline, in milliseconds; negative if it has passed. */
  readonly timeoutMs = (): number | undefined => {
    return this.#deadlineMs === undefined ? undefined : this.#deadlineMs - Date.now();
  };

  /** Aborted when the deadline passes, when the caller leaves, and when the call ends. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isOver) this.#controller.abort(this.#reason);
      else this.#startDeadline(this.#controller);
    }
    return this.#controller.signal;
  }

  /** Returns whether `error` is the reason with which the signal was aborted. */
  isAbortedWith(error: unknown): boolean {
    const { signal } = this.#controller ?? {};
    return signal?.aborted === true && signal.reason === error;
  }

  #startDeadline(controller: AbortController): void {
    const leftMs = this.timeoutMs();
    if (leftMs === undefined) return;
    const expire = () => controller.abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
    if (leftMs > 0) this.#timer = setTimeout(expire, leftMs);
    else expire();
  }

  /** Ends the call: with an error, because the caller left, or, without a reason, successfully. */
  end(reason: unknown = completed): void {
    this.#isOver = true;
    this.#reason = reason;
    if (this.#controller === undefined) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#controller.abort(reason);
  }
}
