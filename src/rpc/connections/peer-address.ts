/** The address of a connection's other side, also when a proxy in between says whose connection it is. */
import type { Socket } from "node:net";

/** What tells that a TLS socket, an HTTP/2 session's socket and a TCP socket are the same connection. */
type Ends = Pick<Socket, "remoteAddress" | "remotePort" | "localPort">;

const addresses = new Map<string, string>();

/** Has `findPeerAddress` return `address` for the connection until it closes. */
export function setPeerAddress(socket: Socket, address: string): void {
  const name = nameEnds(socket);
  addresses.set(name, address);
  socket.once("close", () => addresses.delete(name));
}

/** The IP address of who opened the connection; undefined once the connection is gone. */
export function findPeerAddress(socket: Ends): string | undefined {
  if (addresses.size === 0) return socket.remoteAddress;
  return addresses.get(nameEnds(socket)) ?? socket.remoteAddress;
}

function nameEnds({ remoteAddress, remotePort, localPort }: Ends): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}
