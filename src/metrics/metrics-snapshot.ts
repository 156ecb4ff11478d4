/** Metrics of a process in a form that another process of the same server can add to its own. */
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import { getProcessMetrics } from "./process-metrics.ts";
import { aggregate, type Registry } from "./prom-client.ts";

/** Metrics with their values; can be encoded as JSON. */
export type MetricsSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[];

/** Returns the metrics of registries that have no metric in common. */
export async function readAll(registries: readonly Registry[]): Promise<MetricsSnapshot> {
  const read = await Promise.all(registries.map((registry) => registry.getMetricsAsJSON()));
  return read
    .flat()
    .map((metric) => ({ ...metric, values: metric.values.filter(({ value }) => Number.isFinite(value)) }));
}

/** Returns only the standard metrics of this process, for a process that serves no calls. */
export function readProcessMetrics(): Promise<MetricsSnapshot> {
  return readAll([getProcessMetrics()]);
}

/**
 * Combines the snapshots of several processes into one registry. Each metric defines how its values combine; most are
 * added up.
 */
export function combine(snapshots: readonly MetricsSnapshot[]): Registry {
  return aggregate(snapshots.map((snapshot) => [...snapshot]));
}

/** Returns the metrics that stay valid after the process has ended: its counters and histograms. */
export function keepCounts(snapshot: MetricsSnapshot): MetricsSnapshot {
  return snapshot.filter(({ type }) => countTypes.has(String(type)));
}

const countTypes: ReadonlySet<string> = new Set(["counter", "histogram"]);
