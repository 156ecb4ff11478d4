/** What a process says of itself, in a form that another process of the same server can add to its own. */
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import { getProcessMetrics } from "./process-metrics.ts";
import { aggregate, type Registry } from "./prom-client.ts";

/** Metrics with their values; survives JSON. */
export type MetricsSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[];

/** Reads registries that have no metric in common. */
export async function readAll(registries: readonly Registry[]): Promise<MetricsSnapshot> {
  const read = await Promise.all(registries.map((registry) => registry.getMetricsAsJSON()));
  return read
    .flat()
    .map((metric) => ({ ...metric, values: metric.values.filter(({ value }) => Number.isFinite(value)) }));
}

/** Reads the standard metrics of this process, and nothing else: for one that serves nobody. */
export function readProcessMetrics(): Promise<MetricsSnapshot> {
  return readAll([getProcessMetrics()]);
}

/** Makes one of several, by what each metric says is to be done with its values: mostly they are added up. */
export function combine(snapshots: readonly MetricsSnapshot[]): Registry {
  return aggregate(snapshots.map((snapshot) => [...snapshot]));
}

/** What stays true of a process that has ended: what it has counted. */
export function keepCounts(snapshot: MetricsSnapshot): MetricsSnapshot {
  return snapshot.filter(({ type }) => countTypes.has(String(type)));
}

const countTypes: ReadonlySet<string> = new Set(["counter", "histogram"]);
