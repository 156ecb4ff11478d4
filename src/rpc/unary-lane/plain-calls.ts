/** What Node makes of the HTTP/2 requests that a lane will serve: an exchange, in the place of the two streams of its compatibility API. */
import type { IncomingHttpHeaders } from "node:http";
import {
  constants,
  Http2ServerRequest,
  Http2ServerResponse,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { FastifyInstance } from "fastify";
import { findCallKind } from "./call-kind.ts";
import { findExchange, Http2Exchange } from "./http2-exchange.ts";

/** The paths of a listener that lanes serve. */
export interface PlainCalls {
  /** Options of the listener's HTTP/2 server. */
  readonly serverOptions: Pick<ServerOptions, "Http2ServerRequest" | "Http2ServerResponse">;
  /** From now on plain unary calls of this path are exchanges; Fastify must route them to a lane. */
  addPath(path: string): void;
}

const key = Symbol("plain unary calls");

/** Makes what a listener's server needs before the listener itself can be made. */
export function createPlainCalls(): PlainCalls {
  const paths = new Set<unknown>();

  /** Constructors, as Node calls them; one may return another object than its own. */
  function Request(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: object, rawHeaders: string[]) {
    const isOurs = paths.has(headers[":path"]) && headers[":method"] === "POST";
    const kind = isOurs ? findCallKind(headers, true) : undefined;
    if (kind !== undefined) return new Http2Exchange(stream, headers, kind);
    // Whatever fails when its reader has left must not end the process.
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

/** Node looks whether HTTP can carry an answer's trailers only when the stream asks for them, and would throw at nobody then. */
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

/** Lets plugins of a listener find its plain calls. */
export function decorateWithPlainCalls(listener: FastifyInstance, plainCalls: PlainCalls): void {
  listener.decorate(key, plainCalls);
}

/** The plain calls of a listener; undefined for a Fastify instance that was made without. */
export function findPlainCalls(listener: FastifyInstance): PlainCalls | undefined {
  return listener.hasDecorator(key) ? listener.getDecorator<PlainCalls>(key) : undefined;
}

/** The exchange that stands for the request and the response of a plain call; undefined for any other request. */
export function findLaneExchange({ raw }: { readonly raw: unknown }): Http2Exchange | undefined {
  return raw instanceof Http2Exchange ? raw : undefined;
}
