/**
 * The unary lane: a Fastify plugin that serves plain unary calls, beside Connect's handler and on the same paths.
 *
 * ## Why
 *
 * Connect's handler serves everything: streams, compression, GET. A unary call passes through asynchronous iterators for that, and is
 * turned into a web request and back; on Node this costs several times what HTTP/2 itself does. A plain unary call is one body in and
 * one body out, and that is all that the lane does.
 *
 * ## What it takes
 *
 * POST of a unary method in gRPC (HTTP/2), gRPC-Web (binary and base64) and Connect (binary and JSON), by content types in their usual
 * spelling, not compressed, without expectation; see call-kind.ts. The router decides by a constraint derived from the headers, so
 * whatever is not like that meets Connect's routes, which know nothing of the lane. Nothing is lost by turning it off but speed, and
 * base64, which Connect's handler does not have.
 *
 * ## What is the same
 *
 * Handlers, interceptors, limits and options: `routes` and the rest are given to both. A handler has the same HandlerContext, with
 * metadata, deadline and signal, and cannot tell which way it was called. tests/rpc/unary-lane/twin.test.ts holds the two to the same
 * answers; the Connect conformance suite holds both to the specifications.
 *
 * ## What differs, and is meant to
 *
 * - grpc-message has the escapes of the gRPC specification and no more, so that clients show "a/b" and not "a%2Fb".
 * - An error of gRPC whose handler set no header is Trailers-Only: one block of headers.
 * - Answers are not compressed, and do not say `grpc-encoding`, whatever the caller would accept.
 * - gRPC-Web says its `content-length`, and speaks base64.
 * - A body that breaks off behind the prefix of a frame is `invalid_argument`, not a missing message.
 * - A deadline counts from the request's headers, not from the end of its body.
 *
 * ## How it works
 *
 * The route's onRequest hook takes the request over before Fastify looks at the body. An Exchange is the request and its answer, over
 * either version of HTTP; UnaryCall takes it from there: authenticate's first half, the body, its second half, decode, interceptors
 * and handler, encode. On listeners of listener.ts an HTTP/2 exchange takes the place of Node's compatibility API as well
 * (plain-calls.ts); on any other Fastify instance, and for targets with a query, the lane leaves HTTP/2 to Connect.
 *
 * What costs most is what is made for each call, so listeners of streams are shared functions, time limits share timers, and headers
 * are filled when somebody looks. Each of these showed in profiles.
 *
 * Every call is told to `onCall` once: refused, failed, canceled or answered.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { ConnectRouter } from "@connectrpc/connect";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ListenerLimits } from "../limits.ts";
import { type CallKind, findCallKind } from "./call-kind.ts";
import type { Exchange } from "./exchange.ts";
import { ExchangeTimeouts } from "./exchange-timeouts.ts";
import { Http1Exchange } from "./http1-exchange.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import { createLaneMethod, type Lane, type LaneOptions } from "./lane.ts";
import { findPlainCalls } from "./plain-calls.ts";
import { serveCall } from "./unary-call.ts";
import { listUnaryMethods } from "./unary-methods.ts";

/** What a lane serves, and how. */
export interface UnaryLaneOptions extends LaneOptions {
  /** As for Connect's router; the lane picks out the unary methods. */
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

/** What is no exchange over HTTP/2 was none of plain-calls.ts when its headers came, and is Connect's. */
function findHttp1Kind({ headers, stream }: RawRequest): CallKind | undefined {
  return stream === undefined ? findCallKind(headers, false) : undefined;
}

function openExchange(request: FastifyRequest, reply: FastifyReply, limits: ListenerLimits): Exchange {
  const raw: RawRequest = request.raw;
  if (raw instanceof Http2Exchange) return raw;
  const kind = findHttp1Kind(raw);
  if (kind === undefined) throw new Error("the router gave the lane a request that is not for it");
  return new Http1Exchange(request.raw, reply.raw, kind, limits.lingerTimeoutMs);
}

function neverReached(): never {
  throw new Error("the lane takes a request before its handler");
}
