/** Finds connections that have asked for nothing yet, which Node does not count among the idle ones. */
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";

/** A connection's other side. */
export type Peer = Pick<Socket, "remoteAddress" | "remotePort">;

/** Names a connection by its other side, since its TLS socket and the TCP socket below share nothing else. */
export function nameConnection({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress} ${remotePort}`;
}

/**
 * Watches a server of HTTP/1.1 or HTTP/2, with TLS or without. Returns a function that destroys the connections on which neither a
 * whole request nor the start of HTTP/2 has arrived, those in their handshake included.
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
