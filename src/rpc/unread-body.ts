/** Sees to requests that are answered before their body was read to its end, where Connect's handler and Node leave off. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { FastifyInstance } from "fastify";
import type { ListenerLimits } from "./limits.ts";
import { findLaneExchange } from "./unary-lane/plain-calls.ts";
import { callerGone, discardBody } from "./wire/request-body.ts";

/**
 * Makes sure that such a request does no harm once the whole answer is out, while the caller still has something to send:
 * - over HTTP/2 the stream is reset without an error (RFC 9113 section 8.1), or a caller that has more than a window would wait for ever;
 * - over HTTP/1.1 the rest is read and dropped, or the connection's next request would never be read; after `lingerTimeoutMs` the
 *   connection is cut.
 * Node does so by itself only for bodies of which nothing was read.
 */
export function seeToUnreadBodies(
  listener: FastifyInstance,
  { lingerTimeoutMs }: Pick<ListenerLimits, "lingerTimeoutMs">,
): void {
  function dropRest(this: ServerResponse): void {
    const request = this.req;
    if (request.complete || request.destroyed) return;
    const timer = setTimeout(() => request.destroy(), lingerTimeoutMs);
    request.once("close", () => clearTimeout(timer));
    discardBody(request);
  }
  listener.addHook("onRequest", (request, reply, done) => {
    const { stream } = reply.raw as { stream?: ServerHttp2Stream };
    if (stream === undefined) reply.raw.on("finish", dropRest);
    // The lane sees to its exchanges itself.
    else if (findLaneExchange(request) === undefined) stream.on("wantTrailers", resetRest);
    done();
  });
  listener.addHook("preValidation", (request, _reply, done) => {
    if (request.method === "POST") request.body ??= readPieces(request.raw);
    done();
  });
}

/**
 * The body for Connect's handler. Read as usual, a body that is given up half-way is destroyed, and nothing can be read from its
 * connection any more. Throws `canceled` when the caller goes.
 */
async function* readPieces(request: IncomingMessage): AsyncIterable<Uint8Array> {
  try {
    yield* request.iterator({ destroyOnReturn: false });
  } catch {
    throw callerGone();
  }
}

/** Node sends the trailers, of which there may be none, in the next round of its loop. */
function resetRest(this: ServerHttp2Stream): void {
  setImmediate(reset, this);
}

function reset(stream: ServerHttp2Stream): void {
  if (!stream.destroyed && !stream.closed && stream.state.remoteClose !== 1) stream.close(constants.NGHTTP2_NO_ERROR);
}
