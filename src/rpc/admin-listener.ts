/**
 * The operators' listener: the admin API, health and readiness. Nothing of it is reachable through the agents'
 * listener.
 */
import { createRegistry } from "@bufbuild/protobuf";
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
import { DiskRefusalSchema } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { isNonce, proofPath, proveServer } from "../base/server-proof.ts";
import { clientAddressKey, findClientAddress } from "./callers/client-address.ts";
import { connectRoutes } from "./calls/connect-routes.ts";
import { withStrictMessages } from "./calls/strict-routes.ts";
import { defaultLimits, maxCallerTimeoutMs } from "./limits.ts";
import { createListener, type ListenerTls } from "./listener.ts";
import { assertDecodableQuery } from "./wire/decodable-body.ts";

/** Options of `createAdminListener`. */
export interface AdminListenerOptions {
  /** Undefined for plaintext, on loopback or behind a proxy that ends TLS. */
  readonly tls: ListenerTls | undefined;
  /** Resolves to the reason why the server cannot serve now, or to undefined if it can. */
  readonly findUnreadiness: () => Promise<string | undefined>;
  /** A secret, by which commands on this machine authenticate the server; undefined if it cannot be stored. */
  readonly serverKey: string | undefined;
  readonly routes: (router: ConnectRouter) => void;
  /** Runs when a call's headers have arrived, before its body is read. Throws a ConnectError to refuse the call. */
  readonly gate: (context: HandlerContext) => Promise<void>;
  /** Whether a proxy ends TLS in front of the listener and states the caller's address in X-Forwarded-For. */
  readonly isBehindProxy: boolean;
  /** Called for each request that is not a call. */
  readonly onUnserved: (code: Code) => void;
  /** Interceptors, outermost first. */
  readonly interceptors: Interceptor[];
  readonly log: Logger;
}

/** A misspelt field must not count as an absent one. The statuses in answers to batches have details of these types. */
const jsonOptions = {
  ignoreUnknownFields: false,
  registry: createRegistry(file_google_rpc_error_details, DiskRefusalSchema),
};

/** Builds the operators' listener without opening its port. */
export function createAdminListener(options: AdminListenerOptions): FastifyInstance {
  const listener = createListener({
    tls: options.tls,
    requestClientCertificate: false,
    log: options.log,
    limits: defaultLimits,
    endlessPaths: listStreamPaths(options.routes),
    onUnserved: options.onUnserved,
  });
  // Liveness means that the process answers. A database that is away affects only readiness, since a restart would not
  // help.
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

/**
 * Serves the server's proof. Everyone may ask, since an answer is valid only for this server's own address and reveals
 * nothing about the key.
 */
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
