/** Headers that are filled when somebody looks: most calls' nobody ever does, and filling them costs more than decoding the message. */
import type { IncomingHttpHeaders } from "node:http";

/** Behaves as the Headers that have the fields of `source`, pseudo-headers left out. */
export class LazyHeaders extends Headers {
  #source: Readonly<IncomingHttpHeaders> | undefined;

  constructor(source: Readonly<IncomingHttpHeaders>) {
    super();
    this.#source = source;
  }

  /** Whether these are lazy ones that nobody has looked at, which have the fields of their source therefore. */
  static isUntouched(headers: Headers): boolean {
    return #source in headers && headers.#source !== undefined;
  }

  #fill(): void {
    const source = this.#source;
    if (source === undefined) return;
    this.#source = undefined;
    for (const [name, value] of Object.entries(source)) {
      if (value === undefined || name.startsWith(":")) continue;
      if (typeof value === "string") super.append(name, value);
      else for (const line of value) super.append(name, line);
    }
  }

  override append(name: string, value: string): void {
    this.#fill();
    super.append(name, value);
  }

  override delete(name: string): void {
    this.#fill();
    super.delete(name);
  }

  override get(name: string): string | null {
    this.#fill();
    return super.get(name);
  }

  override getSetCookie(): string[] {
    this.#fill();
    return super.getSetCookie();
  }

  override has(name: string): boolean {
    this.#fill();
    return super.has(name);
  }

  override set(name: string, value: string): void {
    this.#fill();
    super.set(name, value);
  }

  override forEach(callback: (value: string, name: string, headers: Headers) => void, thisArgument?: unknown): void {
    this.#fill();
    super.forEach(callback, thisArgument);
  }

  override entries(): ReturnType<Headers["entries"]> {
    this.#fill();
    return super.entries();
  }

  override keys(): ReturnType<Headers["keys"]> {
    this.#fill();
    return super.keys();
  }

  override values(): ReturnType<Headers["values"]> {
    this.#fill();
    return super.values();
  }

  /** Not that of Headers, by which Node would know a Headers and copy what is inside it. */
  override [Symbol.iterator](): ReturnType<Headers["entries"]> {
    return this.entries();
  }
}
