/**
 * The agents' listener: gRPC, gRPC-Web and Connect over HTTP/1.1 and HTTP/2 on one port. It requests a client
 * certificate.
 */
import type { ConnectError, ConnectRouter, Interceptor } from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { OnCall } from "./calls/call-record.ts";
import { createRecordOptions } from "./calls/connect-call-record.ts";
import { connectRoutes } from "./calls/connect-routes.ts";
import { createErrorInterceptor } from "./calls/error-mapping.ts";
import type { Authenticate } from "./calls/raw-call.ts";
import { createIntake, getContextValues } from "./calls/request-intake.ts";
import { withStrictMessages } from "./calls/strict-routes.ts";
import { defaultLimits, type ListenerLimits, maxCallerTimeoutMs } from "./limits.ts";
import { createListener, type ListenerOptions, type ListenerTls } from "./listener.ts";
import { unaryLane } from "./unary-lane/unary-lane.ts";
import { listUnaryMethods } from "./unary-lane/unary-methods.ts";

/** Options of `createAgentListener`. */
export interface AgentListenerOptions {
  /** Undefined for plaintext, behind a proxy that ends TLS. */
  readonly tls: ListenerTls | undefined;
  /** Session tickets of TLS. Default: Node's own. */
  readonly tickets?: ListenerOptions["tickets"];
  /** The methods that agents call, all of them unary. */
  readonly routes: (router: ConnectRouter) => void;
  readonly authenticate: Authenticate;
  /** Interceptors, outermost first. Errors of handlers and interceptors are mapped for them. */
  readonly interceptors: Interceptor[];
  readonly toConnectError: (error: unknown) => ConnectError;
  /** Addresses and networks of proxies whose connections begin with a PROXY protocol header. Default: none. */
  readonly proxies?: ListenerOptions["proxies"];
  readonly log: Logger;
  /** Default: `defaultLimits`. */
  readonly limits?: ListenerLimits;
  /** "off" makes Connect's handler serve plain unary calls, too. Default: on. */
  readonly unaryLane?: "on" | "off";
  /** Called with the outcome of every call, served by the lane or by Connect's handler. */
  readonly onCall?: OnCall;
  /** Called for each request that is not a call. */
  readonly onUnserved?: ListenerOptions["onUnserved"];
}

/** Builds the agents' listener without opening its port. */
export function createAgentListener(options: AgentListenerOptions): FastifyInstance {
  const { tls, log, limits = defaultLimits, routes, authenticate, toConnectError, onCall } = options;
  const listener = createListener({
    tls,
    requestClientCertificate: true,
    tickets: options.tickets,
    proxies: options.proxies,
    log,
    limits,
    ...(options.onUnserved && { onUnserved: options.onUnserved }),
  });
  const calls = {
    routes,
    interceptors: options.interceptors,
    readMaxBytes: limits.maxBodyBytes,
    maxTimeoutMs: maxCallerTimeoutMs,
    // A misspelt field must not count as an absent one: an installation report without a result means success.
    jsonOptions: { ignoreUnknownFields: false },
  };
  if (options.unaryLane !== "off") {
    listener.register(unaryLane, { ...calls, authenticate, toConnectError, limits, onCall });
  }
  listener.register(async (scope) => {
    const records = createRecordOptions();
    const mapErrors = createErrorInterceptor(toConnectError);
    const intakes = new Map(
      [...listUnaryMethods(routes)].map(([path, { method }]) => [
        path,
        createIntake(method, authenticate, toConnectError, limits, onCall),
      ]),
    );
    scope.addHook("preHandler", async (request, reply) => {
      await intakes.get(request.routeOptions.url ?? "")?.(request, reply);
    });
    await scope.register(connectRoutes, {
      ...calls,
      routes: withStrictMessages(routes, { jsonOptions: calls.jsonOptions, limits }),
      // Errors of handlers are mapped before interceptors see them, and errors of interceptors after they have passed
      // all of these.
      interceptors: [records.interceptor, mapErrors, ...calls.interceptors, mapErrors],
      requestGate: records.requestGate,
      contextValues: getContextValues,
      limits,
      log,
    });
  });
  return listener;
}
