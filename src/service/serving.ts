/** Runs one process that serves agents and operators over a database that is already open. */

import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { createFleetSamplers, createMetricsSample, createSampler } from "../admin/fleet/fleet-sampler.ts";
import { startFleetSamples } from "../admin/fleet/fleet-samples.ts";
import { createChangeFeed } from "../admin/watch/change-feed.ts";
import {
  createDeliveryWriter,
  createHeartbeatWriter,
  defaultWriterLimits,
} from "../agent-callback/heartbeat-writer.ts";
import { readVersion } from "../base/version.ts";
import type { Config, ListenAddress } from "../config/config.ts";
import { connectDatabase, type DatabaseConnection } from "../db/client.ts";
import { type HeartbeatStore, logOutages, openHeartbeatStore } from "../db/heartbeat-store.ts";
import { createHistoryListeners } from "../db/history-listener.ts";
import { countFleet } from "../db/queries/fleet.ts";
import { toInstallationLimits } from "../db/queries/os-installation-request.ts";
import { countStateTransitions } from "../db/queries/state-transition.ts";
import { createMetrics, type MetricSources, type Metrics, type ReadOthers } from "../metrics/metrics.ts";
import { createAddressGuard } from "../receivers/allowed-address.ts";
import { startDispatcher } from "../receivers/dispatcher.ts";
import { type Drain, prepareClose, prepareDrain, prepareToLeave } from "../rpc/connections/close-listener.ts";
import { defaultLimits } from "../rpc/limits.ts";
import { createHealthMonitor } from "../rpc/services/health.ts";
import type { TicketSecret } from "../tls/ticket-secret.ts";
import { openTracing } from "../tracing/open-tracing.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { getAddress, toUrl } from "./address.ts";
import { createAgents } from "./agents.ts";
import { locateConsole } from "./console-files.ts";
import { findDatabaseTrouble } from "./database-trouble.ts";
import { createOperators } from "./operators.ts";
import type { Certificates } from "./preflight.ts";

/** Options of `startServing`. */
export interface ServingContext {
  readonly config: Config;
  readonly certificates: Pick<Certificates, "agent" | "admin">;
  /** A secret, from which the keys of agents' session tickets are derived; undefined for no tickets. */
  readonly ticketSecret: TicketSecret | undefined;
  /** A secret, since it may contain a password. */
  readonly databaseUrl: string;
  /** A secret, by which commands on this machine authenticate the server; absent if it cannot be stored. */
  readonly serverKey: string | undefined;
  readonly log: Logger;
  /** Reads the metrics of the server's other processes on the same ports. Absent if there are none. */
  readonly readOthers?: ReadOthers;
}

/** How a process stops serving. */
export interface CloseOptions {
  /** Close within seconds, without the delay for load balancers, because of an uncaught error. Default: false. */
  readonly isHurried?: boolean;
}

/** A serving process. */
export interface Serving {
  /** URL that agents call, for example "https://127.0.0.1:8443". */
  readonly agentUrl: string;
  /** URL that operators call. */
  readonly adminUrl: string;
  readonly metrics: Metrics;
  /**
   * Hands callers over to the other processes on the same ports. Use it only if there are some, and before `close`.
   * Resolves when no connection is left, when `signal` aborts, or after the longest time that a connection without
   * calls may stay open.
   */
  drain(signal: AbortSignal): Promise<void>;
  /** Turns readiness off, waits for load balancers to notice, drains connections, and closes everything. */
  close(options?: CloseOptions): Promise<void>;
}

/** Opens both listeners. Undoes everything that it had begun before it throws. */
export async function startServing(context: ServingContext): Promise<Serving> {
  const { config, certificates, ticketSecret, databaseUrl, serverKey, log } = context;
  await using resources = new AsyncDisposableStack();
  const metrics = createMetrics();
  const tracing = await openTracing(config.tracing, log);
  resources.defer(async () => tracing?.close());
  const opened = resources.adopt(openStore(databaseUrl, config, log), (each) => each.close());
  const store = observeStore(opened, metrics, tracing);
  const writers = createWriters(store, tracing);

  let isEnding = false;
  const findUnreadiness = async () => (isEnding ? "the server is shutting down" : await findDatabaseTrouble(store));
  const { db, ...database } = connectDatabase(databaseUrl, {
    observer: { ...metrics.transactions, ...tracing?.transactions },
  });
  resources.defer(database.close);
  const guard = createAddressGuard(config.receiverAllow ?? { networks: [], hosts: [] });
  const dispatcher = resources.adopt(startDispatcher({ db, guard, observer: metrics.dispatch, log }), (each) =>
    each.close(),
  );
  const feed = createChangeFeed({ db, listen: createHistoryListeners(databaseUrl), log });
  const { metricLabels = [] } = config;
  const fleet = createFleetSamplers((labelKeys) => countFleet(db, labelKeys));
  metrics.show({
    version: readVersion(),
    fleet: createMetricsSample(fleet, metricLabels, log),
    fleetLabels: metricLabels,
    transitions: createSampler(async () => ({ transitions: await countStateTransitions(db) })),
    database: createDatabaseSource(store, database),
    writers,
    feed,
    findUnreadiness,
  });
  const fleetSamples = resources.use(
    startFleetSamples({
      // Not through the samplers: whoever asks for the fleet next would get that count, up to 15 s old.
      count: () => countFleet(db, []),
      countHeartbeats: () => metrics.countHeartbeats(context.readOthers),
      log,
    }),
  );
  const health = createHealthMonitor(findUnreadiness);
  const page = { ...metrics, render: () => metrics.render(context.readOthers) };
  const { effective: settings } = config;
  const installations = toInstallationLimits(config);
  const operators = {
    db,
    feed,
    fleet,
    fleetSamples,
    guard,
    installations,
    settings,
    findUnreadiness,
    health,
    metrics: page,
    tracing,
    serverKey,
    findConsole: config.console ? await locateConsole() : undefined,
    log,
  };
  const listeners = createListeners(context, resources);
  const adminAddress = await listeners.open(createOperators(config, certificates.admin, operators), config.adminListen);
  const agents = { ticketSecret, db, store, writers, metrics, tracing, log };
  const agentAddress = await listeners.open(createAgents(config, certificates.agent, agents), config.agentListen);
  // Watchers resume on another server. No listener closes while they are connected.
  resources.defer(() => feed.close());
  let isDrained = false;
  let isHurried = false;
  resources.defer(async () => {
    isEnding = true;
    dispatcher.stop();
    health.close();
    // A drained process gets no new connections.
    if (!isDrained && !isHurried) await delay(config.shutdownDelayMs);
  });

  const started = resources.move();
  return {
    agentUrl: toUrl(config.agentTls === "on", agentAddress),
    adminUrl: toUrl(certificates.admin !== undefined, adminAddress),
    metrics,
    drain: async (signal) => {
      isDrained = true;
      await listeners.drain(signal, [feed.close, health.sendWatchersAway]);
    },
    close: (options = {}) => {
      isHurried = options.isHurried === true;
      if (isHurried) listeners.hurry();
      return started.disposeAsync();
    },
  };
}

function observeStore(opened: HeartbeatStore, metrics: Metrics, tracing: Tracing | undefined): HeartbeatStore {
  const measured = metrics.measureBatches(opened);
  return tracing?.traceStore(measured) ?? measured;
}

function createDatabaseSource(
  store: HeartbeatStore,
  { getPoolUsage }: Pick<DatabaseConnection, "getPoolUsage">,
): MetricSources["database"] {
  return {
    findTrouble: () => findDatabaseTrouble(store),
    pools: { operators: getPoolUsage, heartbeats: store.getPoolUsage },
  };
}

function createWriters(store: HeartbeatStore, tracing: Tracing | undefined) {
  const [heartbeats, deliveries] = [createHeartbeatWriter(store), createDeliveryWriter(store)];
  return {
    heartbeats: tracing?.traceWriter(heartbeats) ?? heartbeats,
    deliveries: tracing?.traceWriter(deliveries) ?? deliveries,
  };
}

function openStore(url: string, { installDeadlineMs }: Config, log: Logger): HeartbeatStore {
  return logOutages(openHeartbeatStore(url, { maxBatches: defaultWriterLimits.maxBatches, installDeadlineMs }), log);
}

/** Longest time that running requests get when listeners close in a hurry, in milliseconds. */
const hurriedDrainMs = 3_000;

/**
 * Returns functions that open listeners, which close with `resources`, and that drain them or make them close in a
 * hurry.
 */
function createListeners({ readOthers }: ServingContext, resources: AsyncDisposableStack) {
  const drains: Drain[] = [];
  let drainMs: number | undefined;
  return {
    async open(listener: FastifyInstance, address: ListenAddress): Promise<ListenAddress> {
      const leave = prepareToLeave(listener);
      const close = prepareClose(listener, leave);
      resources.defer(() => close(drainMs));
      if (readOthers !== undefined) drains.push(prepareDrain(listener, defaultLimits, leave));
      await listener.listen(address);
      return getAddress(listener);
    },
    /** Makes the listeners give running requests only seconds when they close. */
    hurry: () => {
      drainMs = hurriedDrainMs;
    },
    /** Drains the listeners. Ends watches only after the listeners have told clients to send new calls elsewhere. */
    drain: async (signal: AbortSignal, sendAway: readonly (() => void)[]) => {
      const drained = Promise.all(drains.map((drain) => drain(signal)));
      for (const send of sendAway) send();
      await drained;
    },
  };
}
