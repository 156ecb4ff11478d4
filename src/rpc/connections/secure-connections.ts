/** What becomes of the connections of a server with TLS, from their first byte to their last. */
import type { EventEmitter } from "node:events";
import type { TLSSocket } from "node:tls";
import type { Logger } from "pino";
import type { ListenerLimits } from "../limits.ts";
import { limitHandshakes } from "./handshake-limit.ts";
import { createSessionReaper } from "./session-reaper.ts";
import { beginTlsInPieces } from "./tls-in-pieces.ts";

/** Bounds and tends the connections of a server of HTTP/2 and HTTP/1.1 that nobody else listens to yet. */
export function tendSecureConnections(server: EventEmitter, limits: ListenerLimits, log: Logger): void {
  // From the last one to the first: a connection has said something before it stands in line for its handshake.
  limitHandshakes(server, limits, log);
  beginTlsInPieces(server, limits);
  const reaper = createSessionReaper(server, limits);
  // Node's own listener, which makes the session there and then, comes after this one.
  server.prependListener("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol === "h2") server.once("session", (session) => reaper.watch(session, socket));
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol !== "h2") readRecordByRecord(socket);
  });
}

/**
 * Has the connection read record by record. Node hands all records that came at once to its parser, also after it has stopped the
 * parser because the answer before is not out yet, and then drops the connection: a request in two records would be lost. A listener
 * for the data makes it go through the socket's own buffer instead, which stops when told to.
 */
function readRecordByRecord(socket: TLSSocket): void {
  socket.on("data", ignore);
}

function ignore(): void {}
