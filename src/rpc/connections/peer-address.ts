/**
 * Finds the IP address of the client of a connection, including the one that a proxy states in a PROXY protocol header.
 */
import type { Socket } from "node:net";

/**
 * Properties by which a TLS socket, an HTTP/2 session's socket and a TCP socket are recognised as the same connection.
 */
type Ends = Pick<Socket, "remoteAddress" | "remotePort" | "localPort">;

const addresses = new Map<string, string>();

/** Makes `findPeerAddress` return `address` for the connection until it closes. */
export function setPeerAddress(socket: Socket, address: string): void {
  const name = nameEnds(socket);
  addresses.set(name, address);
  socket.once("close", () => addresses.delete(name));
}

/** Returns the IP address of the client that opened the connection, or undefined once the connection is closed. */
export function findPeerAddress(socket: Ends): string | undefined {
  if (addresses.size === 0) return socket.remoteAddress;
  return addresses.get(nameEnds(socket)) ?? socket.remoteAddress;
}

function nameEnds({ remoteAddress, remotePort, localPort }: Ends): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}

/** Remote end of a connection. */
export type Peer = Pick<Socket, "remoteAddress" | "remotePort">;

/**
 * Returns the name of a connection: its remote address and port, since a TLS socket and its TCP socket share nothing
 * else.
 */
export function nameConnection({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress} ${remotePort}`;
}
