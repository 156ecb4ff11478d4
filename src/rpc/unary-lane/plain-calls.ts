/**
 * Decides from the headers which requests are plain unary calls, and makes Node create an exchange for each one over
 * HTTP/2 that a lane serves, instead of the two streams of its compatibility API.
 */
import type { IncomingHttpHeaders } from "node:http";
import {
  constants,
  Http2ServerRequest,
  Http2ServerResponse,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { FastifyInstance } from "fastify";
import type { CallKind } from "./exchange.ts";
import { findExchange, Http2Exchange } from "./http2-exchange.ts";

function createKind(protocol: CallKind["protocol"], contentType: string, how: Partial<CallKind> = {}): CallKind {
  const binary = { isBinary: true, isTextRequest: false, isTextAnswer: false };
  return { protocol, contentType, header: { "content-type": contentType }, ...binary, ...how };
}

const grpc = createKind("grpc", "application/grpc+proto");
const grpcWeb = createKind("grpc-web", "application/grpc-web+proto");
const grpcWebAnsweredInText = createKind("grpc-web", "application/grpc-web-text+proto", { isTextAnswer: true });
const grpcWebText: CallKind = { ...grpcWebAnsweredInText, isTextRequest: true };
const connectProto = createKind("connect", "application/proto");
const connectJson = createKind("connect", "application/json", { isBinary: false });

const kinds: ReadonlyMap<string | undefined, CallKind> = new Map([
  ["application/grpc", grpc],
  ["application/grpc+proto", grpc],
  ["application/grpc-web", grpcWeb],
  ["application/grpc-web+proto", grpcWeb],
  ["application/grpc-web-text", grpcWebText],
  ["application/grpc-web-text+proto", grpcWebText],
  ["application/proto", connectProto],
  ["application/json", connectJson],
]);

/**
 * Returns the kind of a call with these headers, or undefined if it is not for the lane because of a content type in
 * another spelling, a compressed message, gRPC over HTTP/1.1, or an expectation. A caller that accepts compressed
 * answers is no obstacle, since answers need not be compressed.
 */
export function findCallKind(headers: IncomingHttpHeaders, isHttp2: boolean): CallKind | undefined {
  const kind = kinds.get(headers["content-type"]);
  if (kind === undefined || headers.expect !== undefined) return undefined;
  if (kind.protocol === "connect") return isIdentity(headers["content-encoding"]) ? kind : undefined;
  if (!isIdentity(headers["grpc-encoding"])) return undefined;
  if (kind === grpc) return isHttp2 ? kind : undefined;
  return kind === grpcWeb && headers.accept?.startsWith("application/grpc-web-text") === true
    ? grpcWebAnsweredInText
    : kind;
}

function isIdentity(encoding: string | string[] | undefined): boolean {
  return encoding === undefined || encoding === "identity";
}

/** Plain unary calls of a listener. */
export interface PlainCalls {
  /** Options of the listener's HTTP/2 server. */
  readonly serverOptions: Pick<ServerOptions, "Http2ServerRequest" | "Http2ServerResponse">;
  /** Makes plain unary calls of this path exchanges from now on. Fastify must route them to a lane. */
  addPath(path: string): void;
}

const key = Symbol("plain unary calls");

/** Creates the options that a listener's server needs, before the listener is created. */
export function createPlainCalls(): PlainCalls {
  const paths = new Set<unknown>();

  /** Constructors that Node calls. A constructor may return a different object. */
  function Request(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: object, rawHeaders: string[]) {
    const isOurs = paths.has(headers[":path"]) && headers[":method"] === "POST";
    const kind = isOurs ? findCallKind(headers, true) : undefined;
    if (kind !== undefined) return new Http2Exchange(stream, headers, kind);
    // An error after its reader has stopped listening must not end the process.
    return new Http2ServerRequest(stream, headers, options, rawHeaders).on("error", ignore);
  }
  function Response(stream: ServerHttp2Stream) {
    return findExchange(stream) ?? guardTrailers(stream, new Http2ServerResponse(stream));
  }

  return {
    serverOptions: {
      Http2ServerRequest: Request as unknown as typeof Http2ServerRequest,
      Http2ServerResponse: Response as unknown as typeof Http2ServerResponse,
    },
    addPath: (path) => void paths.add(path),
  };
}

function ignore(): void {}

/**
 * Catches errors of sending trailers. Node checks whether HTTP can carry them only when the stream requests them, and
 * would then throw an uncaught exception.
 */
function guardTrailers(stream: ServerHttp2Stream, response: Http2ServerResponse): Http2ServerResponse {
  const senders = stream.listeners("wantTrailers");
  stream.removeAllListeners("wantTrailers").on("wantTrailers", () => {
    try {
      for (const send of senders) Reflect.apply(send, stream, []);
    } catch {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  });
  return response;
}

/** Makes the plain calls available to plugins of the listener. */
export function decorateWithPlainCalls(listener: FastifyInstance, plainCalls: PlainCalls): void {
  listener.decorate(key, plainCalls);
}

/** Returns the plain calls of a listener, or undefined for a Fastify instance without them. */
export function findPlainCalls(listener: FastifyInstance): PlainCalls | undefined {
  return listener.hasDecorator(key) ? listener.getDecorator<PlainCalls>(key) : undefined;
}

/** Returns the exchange that stands for the request of a plain call over HTTP/2, or undefined for any other request. */
export function findLaneExchange({ raw }: { readonly raw: unknown }): Http2Exchange | undefined {
  return raw instanceof Http2Exchange ? raw : undefined;
}
