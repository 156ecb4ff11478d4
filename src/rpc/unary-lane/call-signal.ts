/** A call's deadline, and the signal that tells a handler of it and of the call's end; neither is made unless somebody asks. */
import { Code, ConnectError } from "@connectrpc/connect";

/** What the signal of a call that succeeded is aborted with: making one costs more than all the rest of a call's end. */
const completed = new DOMException("This operation was aborted", "AbortError");

/** The signal of one call. */
export class CallSignal {
  /** By Date.now(); undefined when there is no deadline. */
  readonly #deadlineMs: number | undefined;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #reason: unknown;

  /** `timeoutMs` is what is left until the deadline. */
  constructor(timeoutMs: number | undefined) {
    this.#deadlineMs = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  }

  /** What is left until the deadline, in milliseconds; negative when it has passed. */
  readonly timeoutMs = (): number | undefined => {
    return this.#deadlineMs === undefined ? undefined : this.#deadlineMs - Date.now();
  };

  /** Aborted when the deadline passes, when the caller goes, and when the call is over. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isOver) this.#controller.abort(this.#reason);
      else this.#startDeadline(this.#controller);
    }
    return this.#controller.signal;
  }

  /** Whether somebody may have thrown `error` because the signal says so. */
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

  /** The call is over: with an error, by its caller's leaving, or, without a reason, well. */
  end(reason: unknown = completed): void {
    this.#isOver = true;
    this.#reason = reason;
    if (this.#controller === undefined) return;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#controller.abort(reason);
  }
}
