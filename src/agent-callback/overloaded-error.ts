/** More comes than the server can take; nothing of the call was stored. Sending it again later is safe. */
export class OverloadedError extends Error {
  override readonly name = "OverloadedError";
  /** When to send it again, in seconds from now. */
  readonly retryAfterSeconds: number;
  constructor(message: string, retryAfterSeconds: number) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
