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
