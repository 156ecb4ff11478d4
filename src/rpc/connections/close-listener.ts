/**
 * Makes the callers of a listener leave without losing a call, so that other processes can serve its port
 * (node:cluster), or so that it can close gracefully and in bounded time.
 */
import type { EventEmitter } from "node:events";
import type { Http2ServerRequest } from "node:http2";
import { Server, type Socket } from "node:net";
import { setTimeout as delay, setImmediate } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { ListenerLimits } from "../limits.ts";
import { countHttp1Connections, leaveHttp1Callers } from "./http1-messages.ts";
import { nameConnection, type Peer } from "./peer-address.ts";

/** Interval at which connections are counted while they end, in milliseconds. */
const pollMs = 50;

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

/** Closes a listener. Running requests may take `drainTimeoutMs` milliseconds. Default: 15 s. */
export type CloseListener = (drainTimeoutMs?: number) => Promise<void>;

const defaultDrainTimeoutMs = 15_000;
/**
 * Longest time that an active HTTP/1.1 caller takes between an answer and its next request, as a number of intervals of
 * `pollMs`. The process reads its sockets in each of them. By the clock alone, a process that stood still would close
 * connections whose requests it has not read yet.
 */
const quietPolls = 10;
/** Longest time that a new connection may take to send its first request while the listener closes, in milliseconds. */
const firstRequestTimeoutMs = 1_000;

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
    for (let polls = 0; polls < quietPolls && countHttp1Connections(server) > 0; polls++) await pollSockets();
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

/** Waits for `pollMs`, and then until everything that has arrived meanwhile is read. */
async function pollSockets(): Promise<void> {
  await delay(pollMs);
  // Node reads sockets after its timers and before its immediates.
  await setImmediate();
}

/**
 * Watches a server for HTTP/1.1 or HTTP/2, with or without TLS. Returns a function that destroys the connections that
 * have sent neither a whole request nor the start of HTTP/2, including those in their handshake.
 */
function trackSilentConnections(server: EventEmitter): () => void {
  const silent = new Map<string, Socket>();
  const speaks = (peer: Peer | undefined) => {
    if (peer !== undefined) silent.delete(nameConnection(peer));
  };
  function forget(this: Socket) {
    const name = nameConnection(this);
    if (silent.get(name) === this) silent.delete(name);
  }
  server.on("connection", (socket: Socket) => {
    silent.set(nameConnection(socket), socket);
    socket.on("close", forget);
  });
  server.on("session", (session: { socket?: Peer }) => speaks(session.socket));
  const known = new WeakSet<Peer>();
  server.on("request", ({ stream, socket }: { stream?: object; socket: Peer }) => {
    if (stream !== undefined || known.has(socket)) return;
    known.add(socket);
    speaks(socket);
  });
  return () => {
    for (const socket of silent.values()) socket.destroy();
  };
}
