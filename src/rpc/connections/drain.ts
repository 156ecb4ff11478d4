/**
 * Makes the callers of a listener leave without losing a call, so that it can close or other processes can serve its
 * port (node:cluster).
 */
import type { Http2ServerRequest } from "node:http2";
import { Server } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { ListenerLimits } from "../limits.ts";
import { leaveHttp1Callers } from "./http1-messages.ts";

/**
 * Prepares a listener, which must not be open yet, and returns the function that makes its callers leave. Calling it
 * again has no effect.
 *
 * The listener then accepts no new connections. Existing ones are told to leave at their next call: over HTTP/1.1 by
 * `connection: close` in the answer, over HTTP/2 by GOAWAY before the answer (RFC 9113 section 6.8). An idle connection
 * is not closed, since a call may already be on its way: over HTTP/1.1 that call would be lost, over HTTP/2 refused,
 * and not every client repeats it.
 */
export function prepareToLeave(listener: FastifyInstance): () => void {
  const { server } = listener;
  let isLeaving = false;
  listener.addHook("onRequest", ({ raw }, _reply, done) => {
    if (isLeaving && raw.httpVersionMajor !== 1) (raw as unknown as Http2ServerRequest).stream.session?.close();
    done();
  });
  return () => {
    if (isLeaving) return;
    isLeaving = true;
    leaveHttp1Callers(server);
    // The server's own `close` would also close idle connections.
    Server.prototype.close.call(server);
  };
}

/**
 * Empties a listener. Resolves when no connection is left, when `signal` aborts, or after the longest time that a
 * connection without calls may stay open.
 */
export type Drain = (signal: AbortSignal) => Promise<void>;

const pollMs = 50;

/**
 * Returns the function that empties a listener before it is closed. A connection without calls ends by the listener's
 * limit on idle connections, as always.
 */
export function prepareDrain(
  { server }: FastifyInstance,
  limits: Pick<ListenerLimits, "answerTimeoutMs" | "idleTimeoutMs">,
  leave: () => void,
): Drain {
  return async (signal) => {
    leave();
    const endsAtMs = performance.now() + limits.answerTimeoutMs + limits.idleTimeoutMs;
    while (!signal.aborted && performance.now() < endsAtMs && (await countConnections(server)) > 0) await delay(pollMs);
  };
}

function countConnections(server: Server): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  return promise;
}
