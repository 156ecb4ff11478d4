/** One process that serves agents and operators over a database that stands already. */
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { createFleetSampler } from "../admin/fleet/fleet-sampler.ts";
import { createChangeFeed } from "../admin/watch/change-feed.ts";
import {
  createDeliveryWriter,
  createHeartbeatWriter,
  defaultWriterLimits,
} from "../agent-callback/heartbeat-writer.ts";
import type { Config, ListenAddress } from "../config.ts";
import { connectDatabase } from "../db/client.ts";
import { type HeartbeatStore, openHeartbeatStore } from "../db/heartbeat-store.ts";
import { logOutages } from "../db/outage-log.ts";
import { countFleet } from "../db/queries/fleet.ts";
import { createMetrics, type Metrics } from "../metrics/metrics.ts";
import type { Certificates } from "../preflight.ts";
import { createHealthMonitor } from "../rpc/health.ts";
import { prepareClose } from "../rpc/listener.ts";
import { openTracing } from "../tracing/open-tracing.ts";
import type { Tracing } from "../tracing/tracing.ts";
import { readVersion } from "../version.ts";
import { getAddress, toUrl } from "./address.ts";
import { createAgents } from "./agents.ts";
import { findDatabaseTrouble } from "./database-trouble.ts";
import { createOperators } from "./operators.ts";

/** What a process serves with. */
export interface ServingContext {
  readonly config: Config;
  readonly certificates: Pick<Certificates, "agent" | "admin">;
  /** A secret. */
  readonly databaseUrl: string;
  readonly log: Logger;
}

/** A process that serves. */
export interface Serving {
  /** Where agents call, for example "https://127.0.0.1:8443". */
  readonly agentUrl: string;
  /** Where operators call. */
  readonly adminUrl: string;
  readonly metrics: Metrics;
  /** Readiness off, a delay for balancers to see it, then connections drain and everything closes. */
  close(): Promise<void>;
}

/** Opens both listeners; whatever was begun is undone when it throws. */
export async function startServing(context: ServingContext): Promise<Serving> {
  const { config, certificates, databaseUrl, log } = context;
  await using resources = new AsyncDisposableStack();
  const metrics = createMetrics();
  const tracing = await openTracing(config.tracing, log);
  resources.defer(async () => tracing?.close());
  const opened = resources.adopt(openStore(databaseUrl, config, log), (each) => each.close());
  const measured = metrics.measureBatches(opened);
  const store = tracing?.traceStore(measured) ?? measured;
  const writers = createWriters(store, tracing);

  let draining = false;
  const findUnreadiness = async () => (draining ? "the server is shutting down" : await findDatabaseTrouble(store));
  const { db, ...database } = connectDatabase(databaseUrl, {
    observer: { ...metrics.transactions, ...tracing?.transactions },
  });
  resources.defer(database.close);
  const feed = createChangeFeed({ db, log });
  const fleet = createFleetSampler(() => countFleet(db));
  metrics.show({
    version: readVersion(),
    fleet,
    database: {
      findTrouble: () => findDatabaseTrouble(store),
      pools: { operators: database.getPoolUsage, heartbeats: store.getPoolUsage },
    },
    writers,
    feed,
    findUnreadiness,
  });
  const health = createHealthMonitor(findUnreadiness);
  const operators = { db, feed, fleet, findUnreadiness, health, metrics, tracing, log };
  const adminListener = createOperators(config, certificates.admin, operators);
  const adminAddress = await listen(adminListener, config.adminListen, resources);
  const adminUrl = toUrl(certificates.admin !== undefined, adminAddress);
  const agentListener = createAgents(config, certificates.agent, { store, writers, metrics, tracing, log });
  const agentAddress = await listen(agentListener, config.agentListen, resources);
  // Watchers come back to another server; no listener ends while they stay.
  resources.defer(() => feed.close());
  resources.defer(async () => {
    draining = true;
    health.close();
    await delay(config.shutdownDelayMs);
  });

  const started = resources.move();
  return {
    agentUrl: toUrl(config.agentTls === "on", agentAddress),
    adminUrl,
    metrics,
    close: () => started.disposeAsync(),
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

async function listen(
  listener: FastifyInstance,
  address: ListenAddress,
  resources: AsyncDisposableStack,
): Promise<ListenAddress> {
  resources.defer(prepareClose(listener));
  await listener.listen(address);
  return getAddress(listener);
}
