/** Prometheus's standard metrics of a process: CPU, memory, file descriptors, garbage collection, event loop lag. */
import { type Aggregator, Counter, collectors, Registry } from "./prom-client.ts";

let registry: Registry | undefined;
let uncaughtErrors: Counter<"origin"> | undefined;

/** How an error went uncaught: thrown by a callback, or as the rejection of a promise that nothing awaits. */
type ErrorOrigin = "exception" | "rejection";

/**
 * Returns the metrics of this process. Their observers cannot be stopped, so there is one set, created at the first
 * call, however many servers the process starts.
 */
export function getProcessMetrics(): Registry {
  registry ??= createProcessMetrics();
  return registry;
}

/** Counts an uncaught error. */
export function countUncaughtError(origin: ErrorOrigin): void {
  getProcessMetrics();
  uncaughtErrors?.inc({ origin });
}

/**
 * Gauges that prom-client names like counters, which `promtool check metrics` refuses. `nodejs_active_resources` and
 * its kin say the same by type.
 */
const misnamed = ["resources", "handles", "requests"].map((what) => `nodejs_active_${what}_total`);

function createProcessMetrics(): Registry {
  const created = new Registry();
  uncaughtErrors = new Counter({
    name: "bmaas_uncaught_errors_total",
    help: "Uncaught errors, each a bug in bmaas. A serving process ends after the first one.",
    labelNames: ["origin"],
    registers: [created],
  });
  for (const origin of ["exception", "rejection"] satisfies ErrorOrigin[]) uncaughtErrors.inc({ origin }, 0);
  for (const collect of collectors) collect(created, { eventLoopMonitoringPrecision: 10 });
  const read = {
    process_cpu_user_seconds_total: () => process.cpuUsage().user,
    process_cpu_system_seconds_total: () => process.cpuUsage().system,
    process_cpu_seconds_total: () => process.cpuUsage().user + process.cpuUsage().system,
  };
  for (const [name, readMicroseconds] of Object.entries(read)) {
    new Counter({
      name,
      help: "CPU time used by the process, in seconds.",
      registers: [created],
      collect() {
        this.reset();
        this.inc(readMicroseconds() / 1e6);
      },
    });
  }
  for (const name of misnamed) created.removeSingleMetric(name);
  for (const metric of created.getMetricsAsArray())
    metric.aggregator = findAggregator(metric.name) ?? metric.aggregator;
  return created;
}

/** Returns how the values of several processes combine, where neither their sum nor prom-client's rule is right. */
function findAggregator(name: string): Aggregator | undefined {
  // A server starts when its first process starts.
  if (name === "process_start_time_seconds") return "min";
  // An average would hide a single process that cannot keep up.
  if (name.startsWith("nodejs_eventloop_lag_") && name !== "nodejs_eventloop_lag_min_seconds") return "max";
  return undefined;
}
