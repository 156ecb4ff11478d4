/** Keeps what a watcher has not read yet. */
import type { ChangeBatch } from "./change-reader.ts";

/**
 * The watcher must resume later from its last point: the server is shutting down, has too many watchers, or the watcher
 * reads too slowly.
 */
export class WatchEndedError extends Error {
  override readonly name = "WatchEndedError";
}

/** Batches that wait for one watcher, which is woken when one arrives or `ends` aborts. */
export class Mailbox {
  readonly #maxEvents: number;
  readonly #ends: AbortSignal;
  #batches: ChangeBatch[] = [];
  #waitingEvents = 0;
  #failure: Error | undefined;
  #wake: () => void = () => {};

  constructor(maxEvents: number, ends: AbortSignal) {
    this.#maxEvents = maxEvents;
    this.#ends = ends;
    ends.addEventListener("abort", () => this.#wake(), { once: true });
  }

  put(batch: ChangeBatch): void {
    if (batch.events.length === 0 || this.#failure !== undefined) return;
    this.#waitingEvents += batch.events.length;
    if (this.#waitingEvents > this.#maxEvents) {
      this.fail(new WatchEndedError("the caller reads changes too slowly: resume from the last token"));
      return;
    }
    this.#batches.push(batch);
    this.#wake();
  }

  /** Ends the watch with an error, and forgets what waits. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#batches = [];
    this.#wake();
  }

  /**
   * Resolves to the oldest batch, or to undefined after `timeoutMs` or when the watch ends. Throws WatchEndedError once
   * too many events wait, and the error of `fail`.
   */
  async take(timeoutMs: number): Promise<ChangeBatch | undefined> {
    if (this.#batches.length === 0 && this.#failure === undefined && !this.#ends.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
    const batch = this.#batches.shift();
    this.#waitingEvents -= batch?.events.length ?? 0;
    return batch;
  }
}
