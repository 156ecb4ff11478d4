/** The composition root: builds the whole server from its configuration, starts it and ends it. */
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { ensureBootstrapToken } from "./admin/authorization/bootstrap-token.ts";
import { createFleetSampler } from "./admin/fleet/fleet-sampler.ts";
import { createChangeFeed } from "./admin/watch/change-feed.ts";
import { createDeliveryWriter, createHeartbeatWriter, defaultWriterLimits } from "./agent-callback/heartbeat-writer.ts";
import type { Config, ListenAddress } from "./config.ts";
import { connectDatabase } from "./db/client.ts";
import { type HeartbeatStore, openHeartbeatStore } from "./db/heartbeat-store.ts";
import { startHistoryRetention } from "./db/history-retention.ts";
import { migrateWhenReachable } from "./db/migrate-when-reachable.ts";
import { openDatabaseServer } from "./db/open.ts";
import { logOutages } from "./db/outage-log.ts";
import { countFleet } from "./db/queries/fleet.ts";
import { adoptRestoredHistory } from "./db/queries/machine-change.ts";
import { leaveLocalAdminUrl } from "./local-server.ts";
import { createMetrics } from "./metrics/metrics.ts";
import { checkBeforeOpening } from "./preflight.ts";
import { createHealthMonitor } from "./rpc/health.ts";
import { prepareClose } from "./rpc/listener.ts";
import { getAddress, toUrl } from "./service/address.ts";
import { createAgents } from "./service/agents.ts";
import { findDatabaseTrouble } from "./service/database-trouble.ts";
import { createOperators } from "./service/operators.ts";
import { openTracing } from "./tracing/open-tracing.ts";
import type { Tracing } from "./tracing/tracing.ts";
import { readVersion } from "./version.ts";

/** A server that serves. */
export interface Service {
  /** Where agents call, for example "https://127.0.0.1:8443". */
  readonly agentUrl: string;
  /** Where operators call. */
  readonly adminUrl: string;
  /** The development CA that agents must trust; absent when the certificate is the operator's, and without TLS. */
  readonly caFile: string | undefined;
  /** Holds a token of an administrator; absent when others have one and this server has not. */
  readonly adminTokenFile: string | undefined;
  /** Resolves when the server cannot go on, with the reason: its own PostgreSQL is lost for good. Absent when it has none. */
  readonly lost: Promise<Error> | undefined;
  /** Ends it: readiness off, a delay for balancers to see it, then connections drain and everything closes. */
  close(): Promise<void>;
}

/**
 * Starts a server. Throws ConfigError with everything that is wrong with the configuration before a port or a file is opened for good,
 * and OperatorError for what shows later; whatever was begun is undone when it throws.
 */
export async function startService(config: Config, log: Logger): Promise<Service> {
  await using resources = new AsyncDisposableStack();
  const certificates = await checkBeforeOpening(config);
  for (const note of [...config.notes, ...certificates.warnings]) log.warn(note);

  const databaseServer = resources.adopt(
    await openDatabaseServer({ databaseUrl: config.databaseUrl, home: config.home, log, mode: "own" }),
    (server) => server.close(),
  );
  await migrateWhenReachable(databaseServer.url, log);
  const metrics = createMetrics();
  const tracing = await openTracing(config.tracing, log);
  resources.defer(async () => tracing?.close());
  const opened = resources.adopt(openStore(databaseServer.url, config, log), (each) => each.close());
  const measured = metrics.measureBatches(opened);
  const store = tracing?.traceStore(measured) ?? measured;
  const writers = createWriters(store, tracing);

  let draining = false;
  const findUnreadiness = async () => (draining ? "the server is shutting down" : await findDatabaseTrouble(store));
  const { db, ...database } = connectDatabase(databaseServer.url, {
    observer: { ...metrics.transactions, ...tracing?.transactions },
  });
  resources.defer(database.close);
  await adoptRestoredHistory(db);
  const isOwnDatabase = config.databaseUrl === undefined;
  const adminTokenFile = await ensureBootstrapToken({ db, home: config.home, isOwnDatabase, log });
  const { historyDays } = config;
  resources.adopt(startHistoryRetention(db, { historyDays, log }), (retention) => retention.close());
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
  await leaveAdminUrl(config.home, adminUrl, log);
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
    caFile: certificates.caFile,
    adminTokenFile,
    lost: databaseServer.lost,
    close: () => started.disposeAsync(),
  };
}

/** Commands on this machine find the server by it; it serves all the same where it cannot be written. */
async function leaveAdminUrl(home: string, url: string, log: Logger): Promise<void> {
  try {
    await leaveLocalAdminUrl(home, url);
  } catch (error) {
    log.warn({ err: error }, "operators' commands on this machine will not find the server by themselves");
  }
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
