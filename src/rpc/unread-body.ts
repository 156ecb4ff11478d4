/**
 * Handles requests that were answered before their body was completely read, where Connect's handler and Node do not.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { FastifyInstance } from "fastify";
import { createSharedTimeout } from "./connections/shared-timeout.ts";
import type { ListenerLimits } from "./limits.ts";
import { findLaneExchange } from "./unary-lane/plain-calls.ts";
import { callerGone, discardBody } from "./wire/request-body.ts";
import { resetOnceSent } from "./wire/send-answer.ts";

/**
 * Handles such requests once the whole answer is sent and the caller still has something to send:
 * - Over HTTP/2, the stream is reset without an error (RFC 9113 section 8.1). Otherwise a caller with more than one
 *   window of data would wait for ever.
 * - Over HTTP/1.1, the rest is read and discarded. Otherwise the connection's next request would never be read. After
 *   `lingerTimeoutMs` the connection is cut. Node does this on its own only for bodies of which nothing was read.
 */
export function seeToUnreadBodies(
  listener: FastifyInstance,
  { lingerTimeoutMs, checkIntervalMs }: Pick<ListenerLimits, "lingerTimeoutMs" | "checkIntervalMs">,
): void {
  // The timeout counts checks, not time, so a body that arrived while the process was blocked is not too late.
  const late = createSharedTimeout<IncomingMessage>(lingerTimeoutMs, checkIntervalMs, (request) => request.destroy());
  function forget(this: IncomingMessage): void {
    late.delete(this);
  }
  function dropRest(this: ServerResponse): void {
    const request = this.req;
    if (request.complete || request.destroyed) return;
    late.add(request);
    request.once("close", forget);
    discardBody(request);
  }
  listener.addHook("onRequest", (request, reply, done) => {
    const { stream } = reply.raw as { stream?: ServerHttp2Stream };
    if (stream === undefined) reply.raw.on("finish", dropRest);
    // The lane handles its own exchanges.
    else if (findLaneExchange(request) === undefined) stream.on("wantTrailers", resetRest);
    done();
  });
  listener.addHook("preValidation", (request, _reply, done) => {
    if (request.method === "POST") request.body ??= readPieces(request.raw);
    done();
  });
}

/**
 * Returns the body for Connect's handler. By default, Node destroys a body whose reading stops early, and nothing more
 * can be read from its connection. Throws `canceled` if the caller disconnects.
 */
async function* readPieces(request: IncomingMessage): AsyncIterable<Uint8Array> {
  try {
    yield* request.iterator({ destroyOnReturn: false });
  } catch {
    throw callerGone();
  }
}

/**
 * Resets the stream after Node has sent the trailers, if any, which it does in the next iteration of its event loop.
 */
function resetRest(this: ServerHttp2Stream): void {
  setImmediate(resetOnceSent, this);
}
