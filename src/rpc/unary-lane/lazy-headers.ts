/**
 * Headers that are created on first use. Most calls' headers are never used, and creating three Headers for each call
 * costs more than decoding and encoding its messages.
 */
import type { IncomingHttpHeaders } from "node:http";
import { inspect } from "node:util";

/**
 * Behaves like Headers with the fields of `source`, without pseudo-headers. It is an instance of Headers by
 * `instanceof`.
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
