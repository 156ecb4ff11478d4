/** Bounds how much work of one kind runs at once. */

/** Lets at most `limit` pieces of work run at once, in the order in which they come. */
export class Turnstile {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Number of pieces of work whose turn has not come. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Runs `work` when its turn has come, and returns its result. Work whose `signal` aborts before that leaves at once,
   * and never runs: the promise rejects with the signal's reason.
   */
  async pass<Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted();
    if (this.#running < this.#limit) this.#running += 1;
    else await this.#wait(signal);
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#waiting.delete(enter);
        signal?.removeEventListener("abort", leave);
      };
      const enter = () => {
        end();
        resolve();
      };
      const leave = () => {
        end();
        reject(signal?.reason);
      };
      this.#waiting.add(enter);
      signal?.addEventListener("abort", leave);
    });
  }
}
