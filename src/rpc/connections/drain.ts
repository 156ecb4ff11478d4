/**
 * Empties a listener while other processes go on serving its port (node:cluster), without a call being lost.
 *
 * New connections go to the others at once. Those that are there are told to go with the next call that comes on them: over HTTP/1.1 by
 * `connection: close` in its answer, over HTTP/2 by GOAWAY before its answer (RFC 9113 section 6.8). A connection that were closed while
 * nothing is under way on it could have a call on its way already: over HTTP/1.1 that would be lost, over HTTP/2 refused, and not every
 * client sends it again. One on which nobody calls ends by the listener's limit on idle connections, as ever.
 */
import type { Http2ServerRequest } from "node:http2";
import { Server } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { ListenerLimits } from "../limits.ts";

/** Resolves when no connection is left, the signal aborts, or as much time has passed as a connection without calls may last. */
export type Drain = (signal: AbortSignal) => Promise<void>;

const pollMs = 50;

/** Makes what empties the listener, which must not be open yet and is still to be closed then. */
export function prepareDrain(
  listener: FastifyInstance,
  limits: Pick<ListenerLimits, "answerTimeoutMs" | "idleTimeoutMs">,
): Drain {
  const { server } = listener;
  let isDraining = false;
  listener.addHook("onRequest", ({ raw }, reply, done) => {
    if (isDraining) {
      if (raw.httpVersionMajor === 1) reply.raw.setHeader("connection", "close");
      else (raw as unknown as Http2ServerRequest).stream.session?.close();
    }
    done();
  });
  return async (signal) => {
    isDraining = true;
    // The servers' own method would close idle connections, too.
    Server.prototype.close.call(server);
    const endsAtMs = performance.now() + limits.answerTimeoutMs + limits.idleTimeoutMs;
    while (!signal.aborted && performance.now() < endsAtMs && (await countConnections(server)) > 0) await delay(pollMs);
  };
}

function countConnections(server: Server): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  return promise;
}
