/** The operators' listener: the admin API, health and readiness; nothing of it is reachable through the agents' listener. */
import {
  type Code,
  type ConnectRouter,
  createConnectRouter,
  createContextValues,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { isNonce, proofPath, proveServer } from "../base/server-proof.ts";
import { clientAddressKey, findClientAddress } from "./callers/client-address.ts";
import { connectRoutes } from "./calls/connect-routes.ts";
import { withStrictMessages } from "./calls/strict-routes.ts";
import { defaultLimits, maxCallerTimeoutMs } from "./limits.ts";
import { createListener, type ListenerTls } from "./listener.ts";
import { assertDecodableQuery } from "./wire/decodable-body.ts";

/** What the listener serves. */
export interface AdminListenerOptions {
  /** Absent for plaintext, on loopback or behind a proxy that ends TLS. */
  readonly tls: ListenerTls | undefined;
  /** Resolves with why the server cannot serve now, or undefined when it can. */
  readonly findUnreadiness: () => Promise<string | undefined>;
  /** A secret: see base/server-proof. Absent where none can be kept. */
  readonly serverKey: string | undefined;
  readonly routes: (router: ConnectRouter) => void;
  /** Runs when a call's headers are there, before its body is read; throws a ConnectError to refuse it. */
  readonly gate: (context: HandlerContext) => Promise<void>;
  /** A proxy ends TLS in front of the listener and says in X-Forwarded-For who calls. */
  readonly isBehindProxy: boolean;
  /** Is told of requests that are no calls. */
  readonly onUnserved: (code: Code) => void;
  /** Outermost first. */
  readonly interceptors: Interceptor[];
  readonly log: Logger;
}

/** A misspelt field must not pass for one that was left out. */
const jsonOptions = { ignoreUnknownFields: false };

/** Builds the listener without opening its port. */
export function createAdminListener(options: AdminListenerOptions): FastifyInstance {
  const listener = createListener({
    tls: options.tls,
    requestClientCertificate: false,
    log: options.log,
    limits: defaultLimits,
    endlessPaths: listStreamPaths(options.routes),
    onUnserved: options.onUnserved,
  });
  // Alive: the process runs and answers. Restarting it would not mend a database that is away, so that is readiness.
  listener.get("/healthz", async () => ({ status: "ok" }));
  listener.get("/readyz", async (_request, reply) => {
    const reason = await options.findUnreadiness();
    if (reason === undefined) return { status: "ready" };
    return reply.code(503).send({ status: "not ready", reason });
  });
  if (options.serverKey !== undefined) serveProof(listener, options.serverKey);
  listener.register(connectRoutes, {
    routes: withStrictMessages(options.routes, { jsonOptions, limits: defaultLimits }),
    requestGate: async (context) => {
      await options.gate(context);
      await assertDecodableQuery(context, defaultLimits);
    },
    contextValues: (request) =>
      createContextValues().set(clientAddressKey, findClientAddress(request, options.isBehindProxy)),
    interceptors: options.interceptors,
    readMaxBytes: defaultLimits.maxBodyBytes,
    maxTimeoutMs: maxCallerTimeoutMs,
    jsonOptions,
    limits: defaultLimits,
    log: options.log,
    onUnserved: options.onUnserved,
  });
  return listener;
}

/** Anybody may ask: an answer serves for this server's own address, and tells nothing of the key. */
function serveProof(listener: FastifyInstance, key: string): void {
  listener.get<{ Params: { nonce: string } }>(`${proofPath}:nonce`, async ({ params, socket }, reply) => {
    if (!isNonce(params.nonce)) return reply.code(404).send({ status: "not found" });
    const { localAddress: address, localPort: port } = socket;
    return reply.type("text/plain").send(proveServer(key, params.nonce, { address, port }));
  });
}

function listStreamPaths(routes: (router: ConnectRouter) => void): Set<string> {
  const router = createConnectRouter();
  routes(router);
  const streams = router.handlers.filter((handler) => handler.method.methodKind !== "unary");
  return new Set(streams.map((handler) => handler.requestPath));
}
