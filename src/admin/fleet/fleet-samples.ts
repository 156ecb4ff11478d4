/** Samples of the fleet during the last hour, in memory, for those who look at it without Prometheus. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { FleetCount } from "../../db/queries/fleet.ts";

type MachineState = FleetCount["groups"][number]["state"];

/** The fleet at one moment. */
export interface FleetSample {
  /** By the database's clock. */
  readonly at: Date;
  /** Number of machines in each state that has machines. */
  readonly machines: ReadonlyMap<MachineState, bigint>;
  /** Heartbeats per second since the sample before; undefined if it is not known. */
  readonly heartbeatsPerSecond: number | undefined;
}

/** The samples, oldest first. */
export interface FleetSamples extends AsyncDisposable {
  list(): readonly FleetSample[];
}

/** Options of `startFleetSamples`. */
export interface FleetSamplesOptions {
  readonly count: () => Promise<Pick<FleetCount, "countedAt" | "groups">>;
  /** Resolves to a number of heartbeats that only grows while the server's processes stay the same. */
  readonly countHeartbeats: () => Promise<number>;
  readonly log: Logger;
  /** Time between samples, in milliseconds. */
  readonly intervalMs?: number;
  /** Number of samples that are kept. */
  readonly capacity?: number;
}

/**
 * Starts to sample: the first time after one interval, so that a server that has just started does nothing that its
 * callers wait for. A moment at which the fleet cannot be counted has no sample.
 */
export function startFleetSamples(options: FleetSamplesOptions): FleetSamples {
  const { log, intervalMs = 30_000, capacity = 120 } = options;
  const samples: FleetSample[] = [];
  const closing = new AbortController();
  let former: { readonly heartbeats: number; readonly atMs: number } | undefined;

  async function sample(): Promise<void> {
    const [{ countedAt, groups }, heartbeats] = await Promise.all([options.count(), options.countHeartbeats()]);
    const now = { heartbeats, atMs: performance.now() };
    samples.push({ at: countedAt, machines: addUp(groups), heartbeatsPerSecond: toRate(former, now) });
    if (samples.length > capacity) samples.shift();
    former = now;
  }

  async function run(): Promise<void> {
    for (;;) {
      await delay(intervalMs, undefined, { signal: closing.signal, ref: false }).catch(() => {});
      if (closing.signal.aborted) return;
      await sample().catch((error: unknown) => {
        former = undefined;
        log.debug({ err: error }, "the fleet could not be sampled");
      });
    }
  }

  const running = run();
  return {
    list: () => samples,
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      await running;
    },
  };
}

function addUp(groups: FleetCount["groups"]): Map<MachineState, bigint> {
  const machines = new Map<MachineState, bigint>();
  for (const group of groups) machines.set(group.state, (machines.get(group.state) ?? 0n) + group.machines);
  return machines;
}

/** A count that has fallen is one of other processes: a worker was replaced. */
function toRate(
  former: { readonly heartbeats: number; readonly atMs: number } | undefined,
  now: { readonly heartbeats: number; readonly atMs: number },
): number | undefined {
  if (former === undefined || now.heartbeats < former.heartbeats) return undefined;
  return ((now.heartbeats - former.heartbeats) * 1_000) / (now.atMs - former.atMs);
}
