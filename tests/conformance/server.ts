/**
 * The server under test of the Connect conformance suite: the suite's service in the place of ours, on what serves
 * agents and operators. Listener (TLS and plaintext, HTTP/1.1 and HTTP/2 on one port), limits, unary lane, intake,
 * error mapping and the options of Connect's handler are the product's own.
 *
 * What differs from the agents' listener, and why:
 * - Callers are known by the certificate that the suite gives its client, where agents are known by the database.
 * - Streams do not pass the intake, which reads a whole body before anything is answered.
 * - The suite says how large a message may be; a body has room for a frame's prefix besides.
 */
import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { createRegistry, type DescMethod, type DescMethodUnary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { createErrorInterceptor, createErrorMapper } from "../../src/rpc/calls/error-mapping.ts";
import type { Authenticate } from "../../src/rpc/calls/raw-call.ts";
import { createIntake, getContextValues } from "../../src/rpc/calls/request-intake.ts";
import { defaultLimits, maxCallerTimeoutMs } from "../../src/rpc/limits.ts";
import { createListener } from "../../src/rpc/listener.ts";
import { unaryLane } from "../../src/rpc/unary-lane/unary-lane.ts";
import { replyWithError } from "../../src/rpc/wire/protocol-error.ts";
import type { ServerCompatRequest } from "./gen/connectrpc/conformance/v1/server_compat_pb.js";
import {
  ConformanceService,
  file_connectrpc_conformance_v1_service,
} from "./gen/connectrpc/conformance/v1/service_pb.js";
import { conformanceService } from "./service.ts";

/** Whether the unary lane serves what it can, or Connect's handler serves everything. */
export type LaneSetting = "on" | "off";

/** Of a frame of gRPC or gRPC-Web, before its message. */
const framePrefixBytes = 5;

/** Builds the server that the suite asks for, without opening its port. */
export function createServerUnderTest(asked: ServerCompatRequest, lane: LaneSetting, log: Logger): FastifyInstance {
  const readMaxBytes = asked.messageReceiveLimit || defaultLimits.maxBodyBytes;
  const limits = { ...defaultLimits, maxBodyBytes: readMaxBytes + framePrefixBytes };
  const toConnectError = createErrorMapper(() => undefined, log);
  const assertCaller = createCallerCheck(asked);
  const authenticate: Authenticate = ({ tls }) => {
    assertCaller(tls);
    return () => {};
  };
  const calls = {
    routes: (router: ConnectRouter) => router.service(ConformanceService, conformanceService),
    interceptors: [createErrorInterceptor(toConnectError)],
    readMaxBytes,
    maxTimeoutMs: maxCallerTimeoutMs,
    jsonOptions: { ignoreUnknownFields: false, registry: createRegistry(file_connectrpc_conformance_v1_service) },
  };
  const intakes = new Map(
    ConformanceService.methods
      .filter(isUnary)
      .map((method) => [pathOf(method), createIntake(method, authenticate, toConnectError, limits)]),
  );
  const listener = createListener({ tls: readTls(asked), requestClientCertificate: true, log, limits });
  if (lane === "on") listener.register(unaryLane, { ...calls, authenticate, toConnectError, limits });
  listener.register(async (scope) => {
    scope.addHook("preHandler", async (request: FastifyRequest, reply: FastifyReply) => {
      try {
        assertCaller(request.raw.socket as TLSSocket);
      } catch (error) {
        replyWithError(reply, toConnectError(error), limits);
        return;
      }
      await intakes.get(request.routeOptions.url ?? "")?.(request, reply);
    });
    await scope.register(fastifyConnectPlugin, { ...calls, contextValues: getContextValues });
  });
  return listener;
}

/**
 * Makes what throws `unauthenticated` for a connection without the certificate that the suite gives its client, where
 * it gives one.
 */
function createCallerCheck({ clientTlsCert }: ServerCompatRequest): (connection: TLSSocket | undefined) => void {
  if (clientTlsCert.length === 0) return () => {};
  const { fingerprint256 } = new X509Certificate(clientTlsCert);
  return (connection) => {
    if (connection?.getPeerX509Certificate()?.fingerprint256 === fingerprint256) return;
    throw new ConnectError("the suite's client certificate is needed", Code.Unauthenticated);
  };
}

function readTls({ serverCreds }: ServerCompatRequest) {
  if (serverCreds === undefined) return undefined;
  return { cert: Buffer.from(serverCreds.cert).toString(), key: Buffer.from(serverCreds.key).toString() };
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}
