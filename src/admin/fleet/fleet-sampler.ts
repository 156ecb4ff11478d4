/** The fleet in numbers, counted at most every 15 s, however many ask and by whichever way. */
import type { FleetCount } from "../../db/queries/fleet.ts";

/** A count and what is known of its making. */
export interface FleetSample extends FleetCount {
  /** When the counting began, by performance.now(). */
  readonly beganAtMs: number;
  readonly durationMs: number;
}

/** Counts the fleet when somebody asks, and remembers it. */
export interface FleetSampler {
  /** Figures that are at most `maxAgeMs` old. All who ask meanwhile share one count; rejects with what it failed with. */
  get(): Promise<FleetSample>;
  /** The last figures that were got, however old; kept while the database is away. */
  readonly last: FleetSample | undefined;
  /** How often counting failed. */
  readonly failures: number;
}

/** Times of a sampler, in milliseconds. */
export interface FleetSamplerLimits {
  readonly maxAgeMs: number;
  /** After a count that failed, whoever asks in the meantime gets its error. */
  readonly retryMs: number;
}

const defaultLimits: FleetSamplerLimits = { maxAgeMs: 15_000, retryMs: 5_000 };

/** Makes a sampler over `count`, which it never calls twice at once. */
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
