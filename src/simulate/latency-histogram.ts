/** Records latencies of any number of calls in constant memory, accurate to within 5 %. */

/** Factor between the bounds of consecutive buckets. */
const growth = 1.05;
const leastMs = 0.05;

/** Histogram of latencies. A quantile is the upper bound of the bucket that it falls into. */
export class LatencyHistogram {
  readonly #buckets: number[] = [];
  #count = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  add(latencyMs: number): void {
    const bucket = Math.max(0, Math.ceil(Math.log(latencyMs / leastMs) / Math.log(growth)));
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#maxMs = Math.max(this.#maxMs, latencyMs);
  }

  /**
   * Returns the latency, in milliseconds, that the share `quantile` of all calls, 0 to 1, did not exceed; 0 without
   * calls.
   */
  quantile(quantile: number): number {
    let remaining = Math.ceil(this.#count * quantile);
    for (const [bucket, count = 0] of this.#buckets.entries()) {
      remaining -= count;
      if (remaining <= 0 && this.#count > 0) return Math.min(this.#maxMs, leastMs * growth ** bucket);
    }
    return this.#maxMs;
  }
}
