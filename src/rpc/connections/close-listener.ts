/** Ends a listener in good order, and in bounded time. */
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { prepareToLeave } from "./drain.ts";
import { countHttp1Connections } from "./http1-messages.ts";
import { trackSilentConnections } from "./silent-connections.ts";

/** Ends a listener; requests under way may take so many milliseconds. Default: 15 s. */
export type CloseListener = (drainTimeoutMs?: number) => Promise<void>;

const defaultDrainTimeoutMs = 15_000;
/** Longest that a caller over HTTP/1.1 whose connection is in use takes between an answer and its next request, in milliseconds. */
const quietMs = 500;
/** Longest that a connection may take to send its first request then, in milliseconds. */
const firstRequestTimeoutMs = 1_000;
const pollMs = 50;

/**
 * Prepares a listener, which must not be open yet, to be ended. What ends it takes no more connections, tells those that are there to
 * go, lets requests under way end, closes connections that ask for nothing, over HTTP/1.1 once they have been quiet for a moment, and
 * in the end cuts what is left. `leave` is what `prepareToLeave` has made for the listener, where that is needed for more than this.
 */
export function prepareClose(listener: FastifyInstance, leave: () => void = prepareToLeave(listener)): CloseListener {
  const { server } = listener;
  const sockets = new Set<Socket>();
  function forget(this: Socket) {
    sockets.delete(this);
  }
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", forget);
  });
  const dropSilent = trackSilentConnections(server);
  return async (drainTimeoutMs = defaultDrainTimeoutMs) => {
    const beganAtMs = performance.now();
    const isWithin = (timeMs: number) => performance.now() < beganAtMs + timeMs;
    leave();
    while (countHttp1Connections(server) > 0 && isWithin(quietMs)) await delay(pollMs);
    const closed = listener.close().then(() => true);
    // A kept-alive connection becomes idle only when its last answer is out: ask again until none is left.
    while (!(await Promise.race([closed, delay(pollMs, false)])) && isWithin(drainTimeoutMs)) {
      server.closeIdleConnections();
      if (!isWithin(firstRequestTimeoutMs)) dropSilent();
    }
    for (const socket of sockets) socket.destroy();
    await closed;
  };
}
