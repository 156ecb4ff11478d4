/** Measures how long heartbeats take at half of a server's capacity. */
import type { Effort, Observation } from "../measure/rounds.ts";
import { median } from "../measure/statistics.ts";
import { formatTenths } from "../report/format-report.ts";
import type { CalledSubject, TimedObservation } from "./subjects.ts";

/** Latencies of each round, in milliseconds from when a call was due. */
export interface Latency {
  readonly p50Ms: readonly number[];
  readonly p99Ms: readonly number[];
  readonly observations: readonly Observation[];
}

/** A subject, and how many calls per second it gets. */
export interface Offered {
  readonly subject: CalledSubject;
  readonly perSecond: number;
}

/** Measures all subjects in rounds. */
export async function measureLatency(offered: readonly Offered[], { rounds, seconds }: Effort): Promise<Latency[]> {
  process.stderr.write("  how long they take\n");
  const seen: TimedObservation[][] = offered.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { subject, perSecond }] of offered.entries()) {
      seen[index]?.push(await subject.runAt(perSecond, seconds));
    }
  }
  return seen.map((rows) => ({
    p50Ms: rows.map((row) => row.p50Ms),
    p99Ms: rows.map((row) => row.p99Ms),
    observations: rows,
  }));
}

/** Returns the medians of the rounds as cells; empty without a latency. */
export function latencyCells(latency: Latency | undefined): [p50: string, p99: string] {
  return [formatTenths(medianOf(latency?.p50Ms), "ms"), formatTenths(medianOf(latency?.p99Ms), "ms")];
}

/** Returns the median, or NaN for no values. */
export function medianOf(values: readonly number[] | undefined): number {
  return values === undefined ? Number.NaN : median(values);
}
