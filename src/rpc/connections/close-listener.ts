/** Closes a listener gracefully and in bounded time. */
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { prepareToLeave } from "./drain.ts";
import { countHttp1Connections } from "./http1-messages.ts";
import { trackSilentConnections } from "./silent-connections.ts";

/** Closes a listener. Running requests may take `drainTimeoutMs` milliseconds. Default: 15 s. */
export type CloseListener = (drainTimeoutMs?: number) => Promise<void>;

const defaultDrainTimeoutMs = 15_000;
/** Longest time that an active HTTP/1.1 caller takes between an answer and its next request, in milliseconds. */
const quietMs = 500;
/** Longest time that a new connection may take to send its first request while the listener closes, in milliseconds. */
const firstRequestTimeoutMs = 1_000;
const pollMs = 50;

/**
 * Prepares a listener, which must not be open yet, for closing, and returns the function that closes it. That function
 * accepts no more connections, tells the existing ones to leave, lets running requests end, closes idle connections
 * (over HTTP/1.1 once they have been idle for a moment), and at the end cuts what is left. `leave` is the result of
 * `prepareToLeave`, if the listener needs it elsewhere as well.
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
    // A persistent connection becomes idle only after its last answer, so this repeats until none is left.
    while (!(await Promise.race([closed, delay(pollMs, false)])) && isWithin(drainTimeoutMs)) {
      server.closeIdleConnections();
      if (!isWithin(firstRequestTimeoutMs)) dropSilent();
    }
    for (const socket of sockets) socket.destroy();
    await closed;
  };
}
