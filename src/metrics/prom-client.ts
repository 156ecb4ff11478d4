/**
 * The parts of prom-client that are used here, each by itself: its index loads OpenTelemetry's API for the sake of one collector, and
 * nothing of OpenTelemetry is loaded unless traces are wanted.
 */
import { createRequire } from "node:module";
import type * as client from "prom-client";

const load = createRequire(import.meta.url);

/** Only grows. */
export const Counter: typeof client.Counter = load("prom-client/lib/counter.js");
/** Goes up and down. */
export const Gauge: typeof client.Gauge = load("prom-client/lib/gauge.js");
/** Counts values by ranges. */
export const Histogram: typeof client.Histogram = load("prom-client/lib/histogram.js");
/** Holds metrics and writes their page. */
export const Registry: typeof client.Registry = load("prom-client/lib/registry.js");
/** Adds up what several processes say of the same metrics, as each metric says how. */
export const { aggregate }: Pick<typeof client.AggregatorRegistry, "aggregate"> = load("prom-client/lib/cluster.js");
/** An instance. */
export type Counter<Label extends string> = client.Counter<Label>;
/** An instance. */
export type Registry = client.Registry;

/** How one value is made of several processes' values. */
export type Aggregator = client.Aggregator;

/** Adds the metrics of one kind to a registry. */
type Collector = (registry: Registry, options: { eventLoopMonitoringPrecision: number }) => void;

/** The collectors of its `collectDefaultMetrics`, but for the CPU time. */
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
