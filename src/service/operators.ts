/**
 * Builds the operators' side of the server: the admin API with its authorization, health, reflection and the metrics
 * page.
 */
import type { FastifyInstance } from "fastify";
import type { AdminContext } from "../admin/admin-context.ts";
import { createAdminRoutes } from "../admin/admin-routes.ts";
import { createAuthorization } from "../admin/authorization/authorize.ts";
import { createPageAuthorization } from "../admin/authorization/authorize-page.ts";
import { createStreamAuthorization } from "../admin/authorization/authorize-streams.ts";
import { createCredentialsCheck } from "../admin/authorization/check-credentials.ts";
import { createBearerIdentify } from "../admin/authorization/identify-bearer.ts";
import { readVersion } from "../base/version.ts";
import type { Config } from "../config/config.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { metricsPath, serveMetrics } from "../metrics/metrics-page.ts";
import { type AdminListenerOptions, createAdminListener } from "../rpc/admin-listener.ts";
import { findClientAddress } from "../rpc/callers/client-address.ts";
import { createCallLog } from "../rpc/calls/call-log.ts";
import { createCallWatch, requestIdKey } from "../rpc/calls/call-watch.ts";
import { createErrorInterceptor, createErrorMapper } from "../rpc/calls/error-mapping.ts";
import { createValidation } from "../rpc/calls/validation.ts";
import { defaultLimits } from "../rpc/limits.ts";
import type { ListenerTls } from "../rpc/listener.ts";
import { serveConsole } from "../rpc/services/console.ts";
import { type HealthMonitor, registerHealth } from "../rpc/services/health.ts";
import { registerReflection } from "../rpc/services/reflection.ts";
import { replyWithError } from "../rpc/wire/protocol-error.ts";
import type { Tracing } from "../tracing/tracing.ts";
import type { FindConsole } from "./console-files.ts";
import { findKnownError } from "./error-table.ts";

/** Dependencies of the operators' side. */
export interface OperatorsContext
  extends Omit<AdminContext, "mapError">,
    Pick<AdminListenerOptions, "findUnreadiness" | "serverKey"> {
  readonly health: HealthMonitor;
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
  /** Undefined if the console is not served. */
  readonly findConsole: FindConsole | undefined;
}

/** Builds the operators' listener without opening its port. */
export function createOperators(
  config: Config,
  tls: ListenerTls | undefined,
  context: OperatorsContext,
): FastifyInstance {
  const { db, findUnreadiness, serverKey, health, metrics, tracing, findConsole, log } = context;
  const mapError = createErrorMapper(findKnownError, log);
  const watch = createCallWatch([
    createCallLog(log, "info"),
    metrics.calls,
    ...(tracing === undefined ? [] : [tracing]),
  ]);
  const check = createCredentialsCheck(createBearerIdentify({ db, oidc: config.oidc, log }));
  const authorize = createAuthorization(check);
  const authorizePage = createPageAuthorization(check, log);
  const listener = createAdminListener({
    tls,
    findUnreadiness,
    serverKey,
    routes: (router) => {
      createAdminRoutes({ ...context, mapError })(router);
      registerHealth(router, health);
      registerReflection(router);
    },
    gate: async (call) => {
      watch.begin(call);
      tracing?.beginCall(call);
      await authorize(call).catch((error) => {
        throw mapError(error, call.values.get(requestIdKey));
      });
    },
    isBehindProxy: config.adminBehindProxy,
    onUnserved: metrics.calls.onUnserved,
    interceptors: [
      ...(tracing === undefined ? [] : [tracing.interceptor]),
      watch.interceptor,
      createErrorInterceptor(mapError),
      createStreamAuthorization(),
      createValidation(),
    ],
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
  if (findConsole !== undefined) {
    const { issuer, clientId } = config.oidc ?? {};
    const signIn = issuer === undefined || clientId === undefined ? undefined : { issuer, clientId };
    serveConsole(listener, { findFolder: findConsole, version: readVersion(), signIn });
  }
  return listener;
}
