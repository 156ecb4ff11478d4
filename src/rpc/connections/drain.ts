/** Leaves the callers of a listener, for it to end or for other processes to go on serving its port (node:cluster), without a call being lost. */
import type { Http2ServerRequest } from "node:http2";
import { Server } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { ListenerLimits } from "../limits.ts";
import { leaveHttp1Callers } from "./http1-messages.ts";

/**
 * Prepares a listener, which must not be open yet, to leave its callers; it returns what begins that, once.
 *
 * New connections are taken no more. Those that are there are told to go with the next call that comes on them: over HTTP/1.1 by
 * `connection: close` in its answer, over HTTP/2 by GOAWAY before its answer (RFC 9113 section 6.8). A connection that were closed while
 * nothing is under way on it could have a call on its way already: over HTTP/1.1 that would be lost, over HTTP/2 refused, and not every
 * client sends it again.
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
    // The servers' own method would close idle connections, too.
    Server.prototype.close.call(server);
  };
}

/** Resolves when no connection is left, the signal aborts, or as much time has passed as a connection without calls may last. */
export type Drain = (signal: AbortSignal) => Promise<void>;

const pollMs = 50;

/**
 * Makes what empties a listener that is to be closed then. A connection on which nobody calls ends by the listener's limit on idle
 * connections, as ever.
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
