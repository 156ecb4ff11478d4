/** All metrics of a server, for Prometheus. Each server has its own; none is global. */

import type { EnrolmentObserver } from "../agent-callback/enrolment/enrolment-observer.ts";
import type { HeartbeatObserver } from "../agent-callback/heartbeat-observer.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import type { TransactObserver } from "../db/transact-observer.ts";
import type { DispatchObserver } from "../receivers/dispatcher.ts";
import { type CallMetrics, createCallMetrics } from "./call-metrics.ts";
import { createDatabaseMetrics, createTransactObserver, type DatabaseSource } from "./database-metrics.ts";
import { countFailures, createFleetMetrics, type FleetSource } from "./fleet-metrics.ts";
import {
  createEnrolmentObserver,
  createHeartbeatObserver,
  findWrittenHeartbeats,
  measureBatches,
  showWriterQueues,
  type WriterQueues,
} from "./heartbeat-metrics.ts";
import { combine, keepCounts, type MetricsSnapshot, readAll } from "./metrics-snapshot.ts";
import { getProcessMetrics } from "./process-metrics.ts";
import { Gauge, Registry } from "./prom-client.ts";
import { createDispatchObserver } from "./receiver-metrics.ts";
import { createTransitionMetrics, type TransitionSource } from "./state-metrics.ts";

/** Metrics of one server, and the observers that its parts report to. */
export interface Metrics {
  readonly calls: CallMetrics;
  readonly heartbeats: HeartbeatObserver;
  readonly enrolments: EnrolmentObserver;
  readonly transactions: TransactObserver;
  readonly dispatch: DispatchObserver;
  /** Returns a store that passes every call to `store` and measures its batches. */
  measureBatches(store: HeartbeatStore): HeartbeatStore;
  /** Adds the metrics that are read on demand. To be called once, when all sources exist. */
  show(sources: MetricSources): void;
  /**
   * Returns the page for Prometheus, in text format 0.0.4. With `readOthers`, it covers all processes of the server.
   */
  render(readOthers?: ReadOthers): Promise<string>;
  /**
   * Returns the metrics of this process for the page of another one: all but the fleet's, which are the same in every
   * process.
   */
  snapshot(): Promise<MetricsSnapshot>;
  /**
   * Returns the metrics of this process that stay valid after it has ended. Does not query the database, so that it can
   * be called once everything is closed.
   */
  readCounts(): Promise<MetricsSnapshot>;
  /**
   * Resolves to the number of heartbeats that this process has written, or with `readOthers` all processes of the
   * server.
   */
  countHeartbeats(readOthers?: ReadOthers): Promise<number>;
  /** Content type of the page. */
  readonly contentType: string;
}

/** Takes this process's metrics, and resolves to the metrics of the server's other processes. */
export type ReadOthers = (own: MetricsSnapshot) => Promise<readonly MetricsSnapshot[]>;

/** Sources of the metrics that are read on demand. */
export interface MetricSources {
  readonly version: string;
  readonly fleet: FleetSource;
  /** Keys of the machines' labels by which the fleet is shown. */
  readonly fleetLabels: readonly string[];
  readonly transitions: TransitionSource;
  readonly database: DatabaseSource;
  readonly writers: WriterQueues;
  readonly feed: { readonly watchers: number };
  /** Resolves to the reason why the server cannot serve now, or to undefined if it can. */
  readonly findUnreadiness: () => Promise<string | undefined>;
}

/** Creates the metrics of one server. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const fleetRegistry = new Registry();
  const processMetrics = getProcessMetrics();
  const own = [registry, processMetrics];
  const calls = createCallMetrics(registry);
  let refresh: readonly (() => Promise<void>)[] = [];
  let refreshFleet = async () => {};

  async function refreshOwn(): Promise<readonly Registry[]> {
    await Promise.all(refresh.map((look) => look()));
    return own;
  }

  async function snapshot(): Promise<MetricsSnapshot> {
    return await readAll(await refreshOwn());
  }

  async function readTogether(readOthers: ReadOthers): Promise<readonly Registry[]> {
    const read = await snapshot();
    return [combine([read, ...(await readOthers(read))])];
  }

  return {
    calls,
    heartbeats: createHeartbeatObserver(registry),
    enrolments: createEnrolmentObserver(registry),
    transactions: createTransactObserver(registry),
    dispatch: createDispatchObserver(registry),
    measureBatches: (store) => measureBatches(registry, store),
    show: (sources) => {
      showBuild(registry, sources.version);
      showWriterQueues(registry, sources.writers);
      showSubscribers(registry, sources.feed);
      showWorkers(registry);
      countFailures(registry, sources.fleet);
      const refreshes = [
        createFleetMetrics(fleetRegistry, sources.fleet, sources.fleetLabels),
        createTransitionMetrics(fleetRegistry, sources.transitions),
      ];
      refreshFleet = async () => void (await Promise.all(refreshes.map((look) => look())));
      refresh = [createDatabaseMetrics(registry, sources.database), createReadiness(registry, sources.findUnreadiness)];
    },
    render: async (readOthers) => {
      const [registries] = await Promise.all([
        readOthers === undefined ? refreshOwn() : readTogether(readOthers),
        refreshFleet(),
      ]);
      const pages = await Promise.all([fleetRegistry, ...registries].map((each) => each.metrics()));
      return pages.join("\n");
    },
    snapshot,
    countHeartbeats: async (readOthers) => {
      const registries = readOthers === undefined ? [registry] : await readTogether(readOthers);
      return findWrittenHeartbeats(await readAll(registries));
    },
    readCounts: async () => keepCounts(await readAll(own)),
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
  };
}

function showBuild(registry: Registry, version: string): void {
  const build = new Gauge({
    name: "bmaas_build_info",
    help: "Always 1; the version is a label.",
    labelNames: ["version"],
    aggregator: "first",
    registers: [registry],
  });
  build.set({ version }, 1);
}

function showSubscribers(registry: Registry, feed: MetricSources["feed"]): void {
  new Gauge({
    name: "bmaas_watch_subscribers",
    help: "Callers that are watching machines.",
    registers: [registry],
    collect() {
      this.set(feed.watchers);
    },
  });
}

function showWorkers(registry: Registry): void {
  const workers = new Gauge({
    name: "bmaas_workers",
    help: "Processes of the server that serve and are not shutting down.",
    registers: [registry],
  });
  workers.set(1);
}

function createReadiness(registry: Registry, findUnreadiness: MetricSources["findUnreadiness"]): () => Promise<void> {
  const ready = new Gauge({
    name: "bmaas_ready",
    help: "1 when the server can serve, 0 when it cannot: its database is unreachable, or it is shutting down. Same as /readyz.",
    aggregator: "min",
    registers: [registry],
  });
  return async () => ready.set((await findUnreadiness()) === undefined ? 1 : 0);
}
