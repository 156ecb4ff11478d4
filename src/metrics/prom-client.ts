/**
 * Loads the used parts of prom-client one by one. Its index loads OpenTelemetry's API for one collector, and nothing of
 * OpenTelemetry may be loaded unless tracing is on.
 */
import { createRequire } from "node:module";
import type * as client from "prom-client";

const load = createRequire(import.meta.url);

/** Metric that only increases. */
export const Counter: typeof client.Counter = load("prom-client/lib/counter.js");
/** Metric that goes up and down. */
export const Gauge: typeof client.Gauge = load("prom-client/lib/gauge.js");
/** Metric that counts values by range. */
export const Histogram: typeof client.Histogram = load("prom-client/lib/histogram.js");
/** Set of metrics that formats their page. */
export const Registry: typeof client.Registry = load("prom-client/lib/registry.js");
/** Combines the values of several processes, by the rule of each metric. */
export const { aggregate }: Pick<typeof client.AggregatorRegistry, "aggregate"> = load("prom-client/lib/cluster.js");
/** An instance. */
export type Counter<Label extends string> = client.Counter<Label>;
/** An instance. */
export type Registry = client.Registry;

/** Rule by which the values of several processes combine. */
export type Aggregator = client.Aggregator;

/** Adds the metrics of one kind to a registry. */
type Collector = (registry: Registry, options: { eventLoopMonitoringPrecision: number }) => void;

/** The collectors of prom-client's `collectDefaultMetrics`, except the one for CPU time. */
export const collectors: readonly Collector[] = [
  "processStartTime",
  "osMemoryHeap",
  "processOpenFileDescriptors",
  "processMaxFileDescriptors",
  "eventLoopLag",
  "processResources",
  "processHandles",
  "processRequests",
  "heapSizeAndUsed",
  "heapSpacesSizeAndUsed",
  "version",
  "gc",
].map((name) => load(`prom-client/lib/metrics/${name}.js`));

/** A histogram whose numbers are set as a whole, for values that are not observed one by one. */
export interface HistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Name of its label. */
  readonly label: string;
  /** Upper bounds of the buckets, ascending. */
  readonly buckets: readonly number[];
}

/** Numbers of one series: how many values there are, their sum, and how many are within each bucket's upper bound. */
export interface HistogramSeries {
  readonly label: string;
  readonly count: number;
  readonly sum: number;
  readonly buckets: readonly number[];
}

/** Adds such a histogram to a registry, and returns a function that replaces its series. */
export function registerHistogram(
  registry: Registry,
  { name, help, label, buckets }: HistogramOptions,
): (series: readonly HistogramSeries[]) => void {
  let values: { metricName: string; labels: Record<string, string>; value: number }[] = [];
  const metric = { name, help, type: "histogram", get: async () => ({ name, help, type: "histogram", values }) };
  registry.registerMetric(metric as unknown as Parameters<Registry["registerMetric"]>[0]);
  return (series) => {
    values = series.flatMap((each) => {
      const bounds = [...buckets.map(String), "+Inf"];
      const counts = [...each.buckets, each.count];
      const labels = { [label]: each.label };
      return [
        ...bounds.map((le, index) => ({
          metricName: `${name}_bucket`,
          labels: { ...labels, le },
          value: counts[index] ?? 0,
        })),
        { metricName: `${name}_sum`, labels, value: each.sum },
        { metricName: `${name}_count`, labels, value: each.count },
      ];
    });
  };
}
