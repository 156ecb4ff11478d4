/** Finds connections that have not sent a request yet, which Node does not count as idle. */
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";

/** Remote end of a connection. */
export type Peer = Pick<Socket, "remoteAddress" | "remotePort">;

/**
 * Returns the name of a connection: its remote address and port, since a TLS socket and its TCP socket share nothing
 * else.
 */
export function nameConnection({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress} ${remotePort}`;
}

/**
 * Watches a server for HTTP/1.1 or HTTP/2, with or without TLS. Returns a function that destroys the connections that
 * have sent neither a whole request nor the start of HTTP/2, including those in their handshake.
 */
export function trackSilentConnections(server: EventEmitter): () => void {
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
