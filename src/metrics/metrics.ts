/** Everything that a server counts of itself, in the words of Prometheus; a server has its own, none is global. */

import type { HeartbeatObserver } from "../agent-callback/heartbeat-observer.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import type { TransactObserver } from "../db/transact-observer.ts";
import { type CallMetrics, createCallMetrics } from "./call-metrics.ts";
import { createDatabaseMetrics, createTransactObserver, type DatabaseSource } from "./database-metrics.ts";
import { createFleetMetrics, type FleetSource } from "./fleet-metrics.ts";
import { createHeartbeatObserver, measureBatches, showWriterQueues, type WriterQueues } from "./heartbeat-metrics.ts";
import { getProcessMetrics } from "./process-metrics.ts";
import { Gauge, Registry } from "./prom-client.ts";

/** What a server hands its events to, from the beginning. */
export interface Metrics {
  readonly calls: CallMetrics;
  readonly heartbeats: HeartbeatObserver;
  readonly transactions: TransactObserver;
  /** The same store; its batches are counted. */
  measureBatches(store: HeartbeatStore): HeartbeatStore;
  /** Adds what is looked up when somebody asks; once, when all of it is there. */
  show(sources: MetricSources): void;
  /** The page for Prometheus, in its text format 0.0.4. */
  render(): Promise<string>;
  /** The page's content type. */
  readonly contentType: string;
}

/** Where to look things up. */
export interface MetricSources {
  readonly version: string;
  readonly fleet: FleetSource;
  readonly database: DatabaseSource;
  readonly writers: WriterQueues;
  readonly feed: { readonly watchers: number };
  /** Resolves with why the server cannot serve now, or undefined when it can. */
  readonly findUnreadiness: () => Promise<string | undefined>;
}

/** Makes the metrics of one server. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const processMetrics = getProcessMetrics();
  const calls = createCallMetrics(registry);
  let refresh: readonly (() => Promise<void>)[] = [];
  return {
    calls,
    heartbeats: createHeartbeatObserver(registry),
    transactions: createTransactObserver(registry),
    measureBatches: (store) => measureBatches(registry, store),
    show: (sources) => {
      showBuild(registry, sources.version);
      showWriterQueues(registry, sources.writers);
      showSubscribers(registry, sources.feed);
      refresh = [
        createFleetMetrics(registry, sources.fleet),
        createDatabaseMetrics(registry, sources.database),
        createReadiness(registry, sources.findUnreadiness),
      ];
    },
    render: async () => {
      await Promise.all(refresh.map((look) => look()));
      return `${await registry.metrics()}\n${await processMetrics.metrics()}`;
    },
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
  };
}

function showBuild(registry: Registry, version: string): void {
  const build = new Gauge({
    name: "bmaas_build_info",
    help: "Always 1; which bmaas this is.",
    labelNames: ["version"],
    registers: [registry],
  });
  build.set({ version }, 1);
}

function showSubscribers(registry: Registry, feed: MetricSources["feed"]): void {
  new Gauge({
    name: "bmaas_watch_subscribers",
    help: "Callers that watch machines now.",
    registers: [registry],
    collect() {
      this.set(feed.watchers);
    },
  });
}

function createReadiness(registry: Registry, findUnreadiness: MetricSources["findUnreadiness"]): () => Promise<void> {
  const ready = new Gauge({
    name: "bmaas_ready",
    help: "1 when the server can serve, 0 when it cannot: its database is away, or it shuts down. As /readyz says.",
    registers: [registry],
  });
  return async () => ready.set((await findUnreadiness()) === undefined ? 1 : 0);
}
