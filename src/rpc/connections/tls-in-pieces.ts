/** Keeps what a TLS connection takes of memory small: what it reads into stays as large as what its client said first. */
import type { EventEmitter } from "node:events";
import { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

/** Less than the 1 KiB that Node begins with when it is given no more: a buffer that is ever full gets a larger one beside it. */
const pieceBytes = 1000;

/**
 * Has TLS begin on a connection once its client has spoken, with what it said in pieces. When Node reads the first bytes itself, it
 * reads them into 64 KiB, which the connection then keeps to its end (NodeBIO, in Node's src/crypto/crypto_bio.cc); given pieces it
 * begins with 1 KiB, and adds 16 KiB when more than that comes at once. Should it ever do otherwise, no more than memory is lost.
 *
 * Call it before anybody else listens for connections of `server`. A client that says nothing is cut after `handshakeTimeoutMs`.
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

/** What Node asks for, and a piece when it asks for all there is. */
function readPiece(this: Socket, size = Math.min(this.readableLength, pieceBytes)): unknown {
  return Socket.prototype.read.call(this, size);
}

/** A connection that fails closes as well. */
function ignore(): void {}
