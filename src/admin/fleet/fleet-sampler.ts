/** Counts the fleet at most every 15 s, however many callers and scrapers ask. */
import type { FleetCount } from "../../db/queries/fleet.ts";

/** A count of the fleet, with when and how long it was counted. */
export interface FleetSample extends FleetCount {
  /** When the count began, by performance.now(). */
  readonly beganAtMs: number;
  readonly durationMs: number;
}

/** Counts the fleet on demand, and caches the count. */
export interface FleetSampler {
  /**
   * Returns a count that is at most `maxAgeMs` old. Concurrent callers share one count. Rejects with the error of the
   * count.
   */
  get(): Promise<FleetSample>;
  /** The last successful count, however old; kept while the database is away. */
  readonly last: FleetSample | undefined;
  /** Number of failed counts. */
  readonly failures: number;
}

/** Times of a sampler, in milliseconds. */
export interface FleetSamplerLimits {
  readonly maxAgeMs: number;
  /** How long callers get the error of a failed count before the next attempt. */
  readonly retryMs: number;
}

const defaultLimits: FleetSamplerLimits = { maxAgeMs: 15_000, retryMs: 5_000 };

/** Creates a sampler over `count`, which it never calls concurrently. */
export function createFleetSampler(
  count: () => Promise<FleetCount>,
  limits: FleetSamplerLimits = defaultLimits,
): FleetSampler {
  let last: FleetSample | undefined;
  let failures = 0;
  let underWay: Promise<FleetSample> | undefined;
  let failed: { readonly error: unknown; readonly atMs: number } | undefined;

  async function sample(): Promise<FleetSample> {
    const beganAtMs = performance.now();
    try {
      last = { ...(await count()), beganAtMs, durationMs: performance.now() - beganAtMs };
      failed = undefined;
      return last;
    } catch (error) {
      failures += 1;
      failed = { error, atMs: performance.now() };
      throw error;
    } finally {
      underWay = undefined;
    }
  }

  return {
    async get() {
      const nowMs = performance.now();
      if (last !== undefined && nowMs - last.beganAtMs < limits.maxAgeMs) return last;
      if (failed !== undefined && nowMs - failed.atMs < limits.retryMs) throw failed.error;
      underWay ??= sample();
      return await underWay;
    },
    get last() {
      return last;
    },
    get failures() {
      return failures;
    },
  };
}
