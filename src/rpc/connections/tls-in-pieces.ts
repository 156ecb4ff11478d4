/** Keeps the memory of TLS connections small, by controlling the size of their first read. */
import type { EventEmitter } from "node:events";
import { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

/**
 * Size of a piece. It is below the 1 KiB of Node's initial buffer, since a full buffer gets a larger one next to it.
 */
const pieceBytes = 1000;

/**
 * Starts TLS on a connection once its client has sent something, and passes that in pieces. If Node reads the first
 * bytes itself, it reads them into 64 KiB, which the connection keeps until its end (NodeBIO, in Node's
 * src/crypto/crypto_bio.cc). Given pieces, it begins with 1 KiB, and adds 16 KiB when more arrives at once. If a later
 * version of Node behaves differently, only memory is lost.
 *
 * Call it before anything else listens for the connections of `server`. Cuts a client that sends nothing within
 * `handshakeTimeoutMs`.
 */
export function beginTlsInPieces(
  server: EventEmitter,
  { handshakeTimeoutMs, checkIntervalMs }: Pick<ListenerLimits, "handshakeTimeoutMs" | "checkIntervalMs">,
): void {
  const listeners = server.listeners("connection");
  server.removeAllListeners("connection");
  const silent = createSharedTimeout<Socket>(handshakeTimeoutMs, checkIntervalMs, (socket) => socket.destroy());

  function forget(this: Socket): void {
    silent.delete(this);
    this.off("data", begin).off("error", ignore).off("close", forget);
  }
  function begin(this: Socket, bytes: Buffer): void {
    this.pause();
    forget.call(this);
    this.unshift(bytes);
    this.read = readPiece;
    for (const listener of listeners) listener.call(server, this);
  }
  server.on("connection", (socket: Socket) => {
    silent.add(socket);
    socket.on("data", begin).on("error", ignore).on("close", forget);
  });
}

/** Reads as many bytes as Node asks for, or a piece if it asks for everything. */
function readPiece(this: Socket, size = Math.min(this.readableLength, pieceBytes)): unknown {
  return Socket.prototype.read.call(this, size);
}

/** Ignores the error, since a failed connection also closes. */
function ignore(): void {}
