/** The agents' listener: gRPC, gRPC-Web and Connect over HTTP/1.1 and HTTP/2 on one port, with a client certificate asked for. */
import type { DescMethodUnary } from "@bufbuild/protobuf";
import type { ConnectError, ConnectRouter, Interceptor } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { defaultLimits, type ListenerLimits, maxCallerTimeoutMs } from "./limits.ts";
import { createListener, type ListenerTls } from "./listener.ts";
import { type Authenticate, createIntake, getContextValues } from "./request-intake.ts";

/** What the listener serves, and to whom. */
export interface AgentListenerOptions {
  /** Absent for plaintext, behind a proxy that ends TLS. */
  readonly tls: ListenerTls | undefined;
  /** The one method that agents call. */
  readonly method: DescMethodUnary;
  readonly routes: (router: ConnectRouter) => void;
  readonly authenticate: Authenticate;
  readonly interceptors: Interceptor[];
  readonly toConnectError: (error: unknown) => ConnectError;
  readonly log: Logger;
  /** Default: those that are in force everywhere. */
  readonly limits?: ListenerLimits;
}

/** Builds the listener without opening its port. */
export function createAgentListener(options: AgentListenerOptions): FastifyInstance {
  const { tls, log, limits = defaultLimits } = options;
  const listener = createListener({ tls, requestClientCertificate: true, log, limits });
  listener.register(async (scope) => {
    scope.addHook("preHandler", createIntake(options.method, options.authenticate, options.toConnectError, limits));
    await scope.register(fastifyConnectPlugin, {
      routes: options.routes,
      interceptors: options.interceptors,
      contextValues: getContextValues,
      readMaxBytes: limits.maxBodyBytes,
      maxTimeoutMs: maxCallerTimeoutMs,
      // A misspelt field must not pass for an absent one: an installation report without a result means success.
      jsonOptions: { ignoreUnknownFields: false },
    });
  });
  return listener;
}
