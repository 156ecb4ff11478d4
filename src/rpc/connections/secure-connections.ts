/** Manages the connections of a TLS server from their first byte to their last. */
import type { EventEmitter } from "node:events";
import type { TLSSocket } from "node:tls";
import type { Logger } from "pino";
import type { ListenerLimits } from "../limits.ts";
import { limitHandshakes } from "./handshake-limit.ts";
import { createLastAnswerGuard } from "./last-answer.ts";
import { createSessionReaper } from "./session-reaper.ts";
import { beginTlsInPieces } from "./tls-in-pieces.ts";

/**
 * Bounds and manages the connections of a server for HTTP/2 and HTTP/1.1. Call it before anything else listens for the
 * server's connections.
 */
export function tendSecureConnections(server: EventEmitter, limits: ListenerLimits, log: Logger): void {
  // Each call inserts its step before the earlier ones: a connection must send something before it waits for its
  // handshake.
  limitHandshakes(server, limits, log);
  beginTlsInPieces(server, limits);
  const reaper = createSessionReaper(server, limits);
  const guardLastAnswer = createLastAnswerGuard(limits);
  // Runs before Node's own listener, which creates the session at once.
  server.prependListener("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol === "h2") server.once("session", (session) => reaper.watch(session, socket));
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol === "h2") return;
    readRecordByRecord(socket);
    guardLastAnswer(socket);
  });
}

/**
 * Makes the connection read record by record. Node passes all records that arrived at once to its parser, even after it
 * has stopped the parser because the previous answer is not sent yet, and then drops the connection, so a request in
 * two records would be lost. A listener for "data" makes the records go through the socket's own buffer instead, which
 * stops when told to.
 */
function readRecordByRecord(socket: TLSSocket): void {
  socket.on("data", ignore);
}

function ignore(): void {}
