/** Frees the sockets of HTTP/2 sessions that end while their client does not play along. */
import type { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { ListenerLimits } from "./limits.ts";

/** Watches sessions from their beginning. */
export interface SessionReaper {
  watch(session: ServerHttp2Session, socket: Socket): void;
}

interface Ending {
  /** When a session was first seen to take no more streams, and to be gone; milliseconds of a clock that only grows. */
  closedAt?: number;
  destroyedAt?: number;
}

/**
 * Makes a reaper for the sessions of `server`. Node ends a session by ending its own half of the connection, once all is written, and
 * waits for the client to read that and to do the same: a client that does neither would hold the socket for ever. A session that
 * closes has `answerTimeoutMs` for its streams, one that is gone has `lingerTimeoutMs` for its last bytes.
 */
export function createSessionReaper(
  server: EventEmitter,
  limits: Pick<ListenerLimits, "answerTimeoutMs" | "lingerTimeoutMs" | "checkIntervalMs">,
): SessionReaper {
  const watched = new Map<ServerHttp2Session, { readonly socket: Socket; readonly ending: Ending }>();
  const isOver = (session: ServerHttp2Session, ending: Ending, now: number) => {
    if (session.destroyed) ending.destroyedAt ??= now;
    if (session.closed) ending.closedAt ??= now;
    return (
      now - (ending.destroyedAt ?? now) > limits.lingerTimeoutMs ||
      now - (ending.closedAt ?? now) > limits.answerTimeoutMs
    );
  };
  const timer = setInterval(() => {
    const now = performance.now();
    for (const [session, { socket, ending }] of watched) if (isOver(session, ending, now)) socket.destroy();
  }, limits.checkIntervalMs).unref();
  server.once("close", () => clearInterval(timer));
  return {
    watch(session, socket) {
      watched.set(session, { socket, ending: {} });
      socket.once("close", () => watched.delete(session));
    },
  };
}
