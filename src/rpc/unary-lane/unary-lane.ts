/**
 * The unary lane: a Fastify plugin that serves plain unary calls, next to Connect's handler and on the same paths.
 *
 * ## Why
 *
 * Connect's handler serves everything: streams, compression, GET. For that, a unary call passes through asynchronous
 * iterators and is converted to a web request and back. On Node this costs several times as much as HTTP/2 itself. A
 * plain unary call is one body in and one body out, and the lane does only that.
 *
 * ## What it accepts
 *
 * POST requests of a unary method in gRPC (HTTP/2), gRPC-Web (binary and base64) and Connect (binary and JSON), with
 * content types in their usual spelling, uncompressed and without an expectation; plain-calls.ts decides. The router
 * uses a constraint derived from the headers, so everything else reaches Connect's routes, which know nothing about the
 * lane. Turning the lane off costs only speed, and base64, which Connect's handler lacks.
 *
 * ## What is the same
 *
 * Handlers, interceptors, limits and options: both get the same `routes` and the rest. A handler gets the same
 * HandlerContext, with metadata, deadline and signal, and cannot tell how it was called.
 * tests/rpc/unary-lane/twin.test.ts checks that both give the same answers, and the Connect conformance suite checks
 * both against the specifications.
 *
 * ## What differs intentionally
 *
 * - grpc-message has only the escapes of the gRPC specification, so that clients show "a/b" and not "a%2Fb".
 * - A gRPC error whose handler set no header is Trailers-Only: one block of headers.
 * - Answers are not compressed and have no `grpc-encoding`, whatever the caller accepts.
 * - gRPC-Web answers have a `content-length`, and base64 is supported.
 * - A body that ends after the prefix of a frame is `invalid_argument`, not a missing message.
 * - A deadline counts from the request's headers, not from the end of its body.
 *
 * ## How it works
 *
 * The route's onRequest hook takes over the request before Fastify reads the body. An Exchange is the request and its
 * answer, over either version of HTTP. UnaryCall does the rest: first part of authentication, body, second part of
 * authentication, decoding, interceptors and handler, encoding. On listeners of listener.ts, an HTTP/2 exchange also
 * replaces Node's compatibility API (plain-calls.ts). On any other Fastify instance, and for targets with a query, the
 * lane leaves HTTP/2 to Connect.
 *
 * Objects created for each call cost most, so listeners of streams are shared functions, time limits share timers, and
 * headers are created on first use. Each of these was visible in profiles.
 *
 * `onCall` gets every call once: refused, failed, canceled or answered.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { ConnectRouter } from "@connectrpc/connect";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ListenerLimits } from "../limits.ts";
import type { CallKind, Exchange } from "./exchange.ts";
import { ExchangeTimeouts } from "./exchange.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import { createLaneMethod, type Lane, type LaneOptions } from "./lane.ts";
import { findCallKind, findPlainCalls } from "./plain-calls.ts";
import { serveCall } from "./unary-call.ts";
import { listUnaryMethods } from "./unary-methods.ts";

/** Options of `unaryLane`. */
export interface UnaryLaneOptions extends LaneOptions {
  /** The same routes as for Connect's router. The lane serves their unary methods. */
  readonly routes: (router: ConnectRouter) => void;
}

/** Registers the unary lane on a Fastify instance: routes that serve plain unary calls without Connect's handler. */
export async function unaryLane(instance: FastifyInstance, options: UnaryLaneOptions): Promise<void> {
  const { limits, readMaxBytes = limits.maxBodyBytes } = options;
  const lane: Lane = { ...options, readMaxBytes, timeouts: new ExchangeTimeouts(limits) };
  addConstraint(instance);
  const plainCalls = findPlainCalls(instance);
  for (const [path, spec] of listUnaryMethods(options.routes)) {
    const method = createLaneMethod(spec, lane);
    const serve = (request: FastifyRequest, reply: FastifyReply) => {
      reply.hijack();
      serveCall(lane, method, openExchange(request, reply, limits));
    };
    instance.route({ method: "POST", url: path, constraints: plainOnly, onRequest: serve, handler: neverReached });
    plainCalls?.addPath(path);
  }
}

const constraintName = "unaryCall";
const plainOnly = { [constraintName]: "plain" };

function addConstraint(instance: FastifyInstance): void {
  if (instance.hasConstraintStrategy(constraintName)) return;
  instance.addConstraintStrategy({
    name: constraintName,
    storage: () => {
      const handlers = new Map();
      return {
        get: (value) => handlers.get(value) ?? null,
        set: (value, handler) => void handlers.set(value, handler),
      };
    },
    deriveConstraint: (request: RawRequest) => (isPlain(request) ? plainOnly[constraintName] : undefined),
  });
}

/** A request of HTTP/1.1, one of Node's compatibility API for HTTP/2, or an exchange. */
type RawRequest = { readonly headers: IncomingHttpHeaders; readonly stream?: ServerHttp2Stream };

function isPlain(request: RawRequest): boolean {
  return request instanceof Http2Exchange || findHttp1Kind(request) !== undefined;
}

/**
 * Returns the kind of an HTTP/1.1 call. An HTTP/2 request that is not an exchange was not a plain call when its headers
 * came, and is left to Connect.
 */
function findHttp1Kind({ headers, stream }: RawRequest): CallKind | undefined {
  return stream === undefined ? findCallKind(headers, false) : undefined;
}

function openExchange(request: FastifyRequest, reply: FastifyReply, limits: ListenerLimits): Exchange {
  const raw: RawRequest = request.raw;
  if (raw instanceof Http2Exchange) return raw;
  const kind = findHttp1Kind(raw);
  if (kind === undefined) throw new Error("the router gave the lane a request of another path");
  return new Http1Exchange(request.raw, reply.raw, kind, limits.lingerTimeoutMs);
}

function neverReached(): never {
  throw new Error("the lane answers the request before this handler runs");
}
