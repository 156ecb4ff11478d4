/** Counts the fleet at most every 15 s, however many callers and scrapers ask. */
import type { Logger } from "pino";
import type { FleetCount } from "../../db/queries/fleet.ts";
import { TooManyGroupsError } from "../../db/queries/fleet-groups.ts";

/** A count, the time at which it was made, and how long it took. */
type Sample<Count> = Count & {
  /** When the count began, by performance.now(). */
  readonly beganAtMs: number;
  readonly durationMs: number;
};

/** Counts on demand, and caches the count. */
export interface Sampler<Count> {
  /**
   * Returns a count that is at most `maxAgeMs` old. Concurrent callers share one count. Rejects with the error of the
   * count.
   */
  get(): Promise<Sample<Count>>;
  /** The last successful count, however old; kept while the database is away. */
  readonly last: Sample<Count> | undefined;
  /** Number of failed counts. */
  readonly failures: number;
}

/** Counts the fleet on demand, and caches the count. */
type FleetSampler = Sampler<FleetCount>;

/** Times of a sampler, in milliseconds. */
export interface FleetSamplerLimits {
  readonly maxAgeMs: number;
  /** How long callers get the error of a failed count before the next attempt. */
  readonly retryMs: number;
}

const defaultLimits: FleetSamplerLimits = { maxAgeMs: 15_000, retryMs: 5_000 };

/** Creates a sampler over `count`, which it never calls concurrently. */
export function createSampler<Count extends object>(
  count: () => Promise<Count>,
  limits: FleetSamplerLimits = defaultLimits,
): Sampler<Count> {
  let last: Sample<Count> | undefined;
  let failures = 0;
  let underWay: Promise<Sample<Count>> | undefined;
  let failed: { readonly error: unknown; readonly atMs: number } | undefined;

  async function sample(): Promise<Sample<Count>> {
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

/** Samplers of the fleet, one for each set of labels by which it is grouped. */
export interface FleetSamplers {
  /** Returns the sampler that groups machines by these labels. The order of the keys does not matter. */
  by(labelKeys: readonly string[]): FleetSampler;
}

/** Maximum number of sets of labels whose counts are remembered. */
const maxSamplers = 16;

/** Creates samplers over `count`. All of them together run one count at a time. */
export function createFleetSamplers(count: (labelKeys: readonly string[]) => Promise<FleetCount>): FleetSamplers {
  /** Least recently used first. */
  const samplers = new Map<string, FleetSampler>();
  let lastTurn: Promise<unknown> = Promise.resolve();
  const countInTurn = (labelKeys: readonly string[]) => {
    const turn = lastTurn.then(() => count(labelKeys));
    lastTurn = turn.catch(() => {});
    return turn;
  };
  return {
    by(labelKeys) {
      const keys = labelKeys.toSorted();
      const name = keys.join(",");
      const sampler = samplers.get(name) ?? createSampler(() => countInTurn(keys));
      samplers.delete(name);
      samplers.set(name, sampler);
      if (samplers.size > maxSamplers) samplers.delete(samplers.keys().next().value as string);
      return sampler;
    },
  };
}

/**
 * Creates the source of figures for metrics. They are grouped by the labels of the given keys, or by no labels while
 * these would form too many groups, which is logged once.
 */
export function createMetricsSample(
  samplers: FleetSamplers,
  labelKeys: readonly string[],
  log: Logger,
): Pick<FleetSampler, "last" | "failures"> & { get(): Promise<unknown> } {
  const byLabels = samplers.by(labelKeys);
  let source = byLabels;
  return {
    async get() {
      try {
        await byLabels.get();
        source = byLabels;
      } catch (error) {
        if (!(error instanceof TooManyGroupsError)) throw error;
        if (source === byLabels) log.warn({ labelKeys }, `metrics show the fleet without labels: ${error.message}`);
        source = samplers.by([]);
        await source.get();
      }
    },
    get last() {
      return source.last;
    },
    get failures() {
      return source.failures;
    },
  };
}
