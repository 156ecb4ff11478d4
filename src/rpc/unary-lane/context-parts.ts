/**
 * The parts of a call's context: headers, signal and context values. Those that Connect creates for each call are
 * created here on first use, or share their functions among all calls, since creating them costs more than decoding and
 * encoding the messages of most calls.
 */
import type { IncomingHttpHeaders } from "node:http";
import { inspect } from "node:util";
import { Code, ConnectError, type ContextKey, type ContextValues } from "@connectrpc/connect";

/**
 * Headers that are created on first use. They behave like Headers with the fields of `source`, without pseudo-headers,
 * and are an instance of Headers by `instanceof`.
 */
export class LazyHeaders {
  readonly #source: Readonly<IncomingHttpHeaders>;
  #headers: Headers | undefined;

  constructor(source: Readonly<IncomingHttpHeaders>) {
    this.#source = source;
  }

  /** Returns whether the headers are lazy and unused, so that they have exactly the fields of their source. */
  static isUntouched(headers: Headers | LazyHeaders): boolean {
    return #source in headers && headers.#headers === undefined;
  }

  get #filled(): Headers {
    this.#headers ??= fill(this.#source);
    return this.#headers;
  }

  append(name: string, value: string): void {
    this.#filled.append(name, value);
  }

  delete(name: string): void {
    this.#filled.delete(name);
  }

  get(name: string): string | null {
    return this.#filled.get(name);
  }

  getSetCookie(): string[] {
    return this.#filled.getSetCookie();
  }

  has(name: string): boolean {
    return this.#filled.has(name);
  }

  set(name: string, value: string): void {
    this.#filled.set(name, value);
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, thisArgument?: unknown): void {
    for (const [name, value] of this.#filled) callback.call(thisArgument, value, name, toHeaders(this));
  }

  entries(): ReturnType<Headers["entries"]> {
    return this.#filled.entries();
  }

  keys(): ReturnType<Headers["keys"]> {
    return this.#filled.keys();
  }

  values(): ReturnType<Headers["values"]> {
    return this.#filled.values();
  }

  /**
   * Must be a different function from `entries`: Node takes an object on which the two are the same for its own Headers
   * and reads its internals.
   */
  [Symbol.iterator](): ReturnType<Headers["entries"]> {
    return this.#filled.entries();
  }

  [inspect.custom](): Headers {
    return this.#filled;
  }
}

// The constructor of a subclass would create the Headers at once.
Object.setPrototypeOf(LazyHeaders.prototype, Headers.prototype);

/** Returns lazy headers with the fields of `source`. */
export function createLazyHeaders(source: Readonly<IncomingHttpHeaders>): Headers {
  return toHeaders(new LazyHeaders(source));
}

function toHeaders(headers: LazyHeaders): Headers {
  return headers as unknown as Headers;
}

function fill(source: Readonly<IncomingHttpHeaders>): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(source)) {
    if (value === undefined || name.startsWith(":")) continue;
    if (typeof value === "string") headers.append(name, value);
    else for (const line of value) headers.append(name, line);
  }
  return headers;
}

/**
 * Reason with which the signal of a successful call is aborted. It is shared, since creating one costs more than all
 * other work at a call's end.
 */
const completed = new DOMException("This operation was aborted", "AbortError");

/**
 * The deadline of a call, and the signal that tells a handler of the deadline and of the call's end. The signal and its
 * timer are created on first use.
 */
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

/** Context values that share their methods among all calls. */
export class CallValues implements ContextValues {
  [id: symbol]: unknown;

  get<T>(key: ContextKey<T>): T {
    return key.id in this ? (this[key.id] as T) : key.defaultValue;
  }

  set<T>(key: ContextKey<T>, value: T): this {
    this[key.id] = value;
    return this;
  }

  delete(key: ContextKey<unknown>): this {
    delete this[key.id];
    return this;
  }
}
