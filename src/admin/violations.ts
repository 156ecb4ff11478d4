/** Collects what is wrong with the fields of a call, so that its caller hears of all of it at once. */
import { Code, ConnectError } from "@connectrpc/connect";
import { InvalidFieldError } from "../contract/installation-rules.ts";
import { badRequest } from "../rpc/wire/error-details.ts";

/** Mistakes in the fields of one call. */
export class Violations {
  readonly #violations: { field: string; description: string }[] = [];

  /** Adds a mistake. `description` continues a sentence that begins with `field`, the field's path in the call. */
  add(field: string, description: string): void {
    this.#violations.push({ field, description });
  }

  /** Runs `parse`, and adds the InvalidFieldError that it throws. */
  check(field: string, parse: () => unknown): void {
    try {
      parse();
    } catch (error) {
      if (!(error instanceof InvalidFieldError)) throw error;
      this.add(field, error.message);
    }
  }

  /** Throws ConnectError with `invalid_argument` and BadRequest if there are any mistakes. */
  assertNone(): void {
    if (this.#violations.length === 0) return;
    const text = this.#violations.map(({ field, description }) => `${field} ${description}`).join("; ");
    throw new ConnectError(text, Code.InvalidArgument, undefined, [badRequest(this.#violations)]);
  }
}
