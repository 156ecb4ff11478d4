/** The composition root: builds the whole server from its configuration, starts it and ends it. */
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { AgentCallback } from "../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AdminContext } from "./admin/admin-context.ts";
import { createAdminRoutes } from "./admin/admin-routes.ts";
import { createAuthorization } from "./admin/authorization/authorize.ts";
import { createPageAuthorization } from "./admin/authorization/authorize-page.ts";
import { ensureBootstrapToken } from "./admin/authorization/bootstrap-token.ts";
import { createCredentialsCheck } from "./admin/authorization/check-credentials.ts";
import { createBearerIdentify } from "./admin/authorization/identify-bearer.ts";
import { createFleetSampler } from "./admin/fleet/fleet-sampler.ts";
import { createChangeFeed } from "./admin/watch/change-feed.ts";
import { createAuthenticate } from "./agent-callback/authenticate.ts";
import { createHeartbeat } from "./agent-callback/heartbeat.ts";
import {
  createDeliveryWriter,
  createHeartbeatWriter,
  defaultWriterLimits,
  type HeartbeatWriter,
} from "./agent-callback/heartbeat-writer.ts";
import { createSignatureVerifier } from "./agent-callback/identity/signature-identity.ts";
import type { Config, ListenAddress } from "./config.ts";
import { connectDatabase } from "./db/client.ts";
import { type HeartbeatStore, openHeartbeatStore } from "./db/heartbeat-store.ts";
import { startHistoryRetention } from "./db/history-retention.ts";
import { migrateWhenReachable } from "./db/migrate-when-reachable.ts";
import { openDatabaseServer } from "./db/open.ts";
import { logOutages } from "./db/outage-log.ts";
import { countFleet } from "./db/queries/fleet.ts";
import { adoptRestoredHistory } from "./db/queries/machine-change.ts";
import { findKnownError } from "./error-table.ts";
import { leaveLocalAdminUrl } from "./local-server.ts";
import { createMetrics, type Metrics } from "./metrics/metrics.ts";
import { metricsPath, serveMetrics } from "./metrics/metrics-page.ts";
import { checkBeforeOpening } from "./preflight.ts";
import { type AdminListenerOptions, createAdminListener } from "./rpc/admin-listener.ts";
import { createAgentListener } from "./rpc/agent-listener.ts";
import { createCallLog } from "./rpc/call-log.ts";
import { createCallWatch, requestIdKey } from "./rpc/call-watch.ts";
import { findClientAddress } from "./rpc/client-address.ts";
import { createErrorInterceptor, createErrorMapper } from "./rpc/error-mapping.ts";
import { createHealthMonitor, type HealthMonitor, registerHealth } from "./rpc/health.ts";
import { defaultLimits } from "./rpc/limits.ts";
import { type ListenerTls, prepareClose } from "./rpc/listener.ts";
import { listOwnAuthorities } from "./rpc/own-authority.ts";
import { replyWithError } from "./rpc/protocol-error.ts";
import { registerReflection } from "./rpc/reflection.ts";
import { createValidation } from "./rpc/validation.ts";
import { createCallRecorder } from "./rpc/watched-call-record.ts";
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
  const store = resources.adopt(openStore(databaseServer.url, config, log), (opened) => opened.close());
  const writer = createHeartbeatWriter(metrics.measureBatches(store));

  let draining = false;
  const findUnreadiness = async () => (draining ? "the server is shutting down" : await findDatabaseTrouble(store));
  const { db, ...database } = connectDatabase(databaseServer.url, { observer: metrics.transactions });
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
    writer,
    feed,
    findUnreadiness,
  });
  const health = createHealthMonitor(findUnreadiness);
  const operators = { db, feed, fleet, findUnreadiness, health, metrics, log };
  const adminListener = createOperators(config, certificates.admin, operators);
  const adminAddress = await listen(adminListener, config.adminListen, resources);
  const adminUrl = toUrl(certificates.admin !== undefined, adminAddress);
  await leaveAdminUrl(config.home, adminUrl, log);
  const agentListener = createAgents(config, certificates.agent, { store, writer, metrics, log });
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

function openStore(url: string, { installDeadlineMs }: Config, log: Logger): HeartbeatStore {
  return logOutages(openHeartbeatStore(url, { maxBatches: defaultWriterLimits.maxBatches, installDeadlineMs }), log);
}

/** What the operators' side works with. */
interface OperatorsContext extends AdminContext, Pick<AdminListenerOptions, "findUnreadiness"> {
  readonly health: HealthMonitor;
  readonly metrics: Metrics;
}

function createOperators(config: Config, tls: ListenerTls | undefined, context: OperatorsContext): FastifyInstance {
  const { db, findUnreadiness, health, metrics, log } = context;
  const mapError = createErrorMapper(findKnownError, log);
  const watch = createCallWatch([createCallLog(log, "info"), createCallRecorder(metrics.calls.onCall)]);
  const check = createCredentialsCheck(createBearerIdentify({ db, oidc: config.oidc, log }));
  const authorize = createAuthorization(check);
  const authorizePage = createPageAuthorization(check, log);
  const listener = createAdminListener({
    tls,
    findUnreadiness,
    routes: (router) => {
      createAdminRoutes(context)(router);
      registerHealth(router, health);
      registerReflection(router);
    },
    gate: async (call) => {
      watch.begin(call);
      await authorize(call).catch((error) => {
        throw mapError(error, call.values.get(requestIdKey));
      });
    },
    isBehindProxy: config.adminBehindProxy,
    onUnserved: metrics.calls.onUnserved,
    interceptors: [watch.interceptor, createErrorInterceptor(mapError), createValidation()],
    log,
  });
  serveMetrics(listener, {
    metrics,
    authorize: async (request) => {
      if (config.metricsPublic) return;
      const address = findClientAddress(request, config.adminBehindProxy);
      await authorizePage({ path: metricsPath, authorization: request.headers.authorization ?? null, address });
    },
    replyWithError: (reply, error) => replyWithError(reply, mapError(error), defaultLimits),
  });
  return listener;
}

/** What the agents' side works with. */
interface AgentsContext {
  readonly store: HeartbeatStore;
  readonly writer: HeartbeatWriter;
  readonly metrics: Metrics;
  readonly log: Logger;
}

function createAgents(config: Config, tls: ListenerTls | undefined, context: AgentsContext): FastifyInstance {
  const { store, writer, metrics, log } = context;
  const toConnectError = createErrorMapper(findKnownError, log);
  const deliveries = createDeliveryWriter(store);
  const heartbeat = createHeartbeat({ writer, deliveries, observer: metrics.heartbeats, log });
  const verifySignature = createSignatureVerifier({
    isOwnAuthority: (authority) => authorities().includes(authority),
    now: Date.now,
    findPublicKey: (machineId) => store.findPublicKey(machineId),
  });
  const listener = createAgentListener({
    tls,
    method: AgentCallback.method.heartbeat,
    routes: (router) => router.service(AgentCallback, { heartbeat }),
    authenticate: createAuthenticate(verifySignature, metrics.heartbeats, log),
    interceptors: [createErrorInterceptor(toConnectError)],
    toConnectError,
    unaryLane: config.unaryLane,
    onCall: metrics.calls.onCall,
    onUnserved: metrics.calls.onUnserved,
    log,
  });
  // The port is known once the listener is bound, which is before anybody can call.
  const authorities = () => config.agentAuthorities ?? listOwnAuthorities(getAddress(listener));
  return listener;
}

/** How long readiness waits for the database's answer, in milliseconds; probes usually give up after a second. */
const pingTimeoutMs = 900;

async function findDatabaseTrouble(store: HeartbeatStore): Promise<string | undefined> {
  const timeout = new AbortController();
  try {
    const late = delay(pingTimeoutMs, "late" as const, { signal: timeout.signal });
    const answer = await Promise.race([store.ping(), late]);
    return answer === "late" ? "the database does not answer" : undefined;
  } catch {
    return "the database is away";
  } finally {
    timeout.abort();
  }
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

function getAddress(listener: FastifyInstance): ListenAddress {
  const { address, port } = listener.server.address() as AddressInfo;
  return { host: address, port };
}

function toUrl(isSecure: boolean, { host, port }: ListenAddress): string {
  return `${isSecure ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
