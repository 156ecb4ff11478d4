/**
 * Makes sure that the last answer of an HTTP/1.1 connection arrives, even if its client has sent more after the
 * request, and that the connection ends after it.
 */
import { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";
import { hasSentItsLast } from "./http1-messages.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

/**
 * Creates a function to be called with each connection.
 *
 * When Node ends the connection after an answer with `connection: close`, only this side's half is closed. Data that
 * the client still sends is dropped until the client closes its half as well, for at most `lingerTimeoutMs`. Closed at
 * once, a connection with unread requests would be reset, and the client would lose the answer (RFC 9112 section 9.6).
 * The connection of a client that sends nothing more is closed at once, which takes less work.
 *
 * After a client has closed its half, Node closes this side's as well, once everything is written. The guard cuts a
 * connection that has not written everything within `answerTimeoutMs`: its client may read nothing, and Node 24.21.0
 * sometimes never tells that a write over TLS to a client that is gone has failed, so the connection would stay for
 * ever.
 */
export function createLastAnswerGuard({
  lingerTimeoutMs,
  answerTimeoutMs,
  checkIntervalMs,
}: Pick<ListenerLimits, "lingerTimeoutMs" | "answerTimeoutMs" | "checkIntervalMs">): (socket: Socket) => void {
  const cut = (socket: Socket) => socket.destroy();
  const lingering = createSharedTimeout<Socket>(lingerTimeoutMs, checkIntervalMs, cut);
  const writing = createSharedTimeout<Socket>(answerTimeoutMs, checkIntervalMs, cut);

  function forget(this: Socket): void {
    lingering.delete(this);
    writing.delete(this);
  }
  /** Called by Node's HTTP server when the last answer has been written. */
  function endHalf(this: Socket): void {
    lingering.add(this);
    this.on("close", forget);
    if (hasSentItsLast(this)) {
      Socket.prototype.destroySoon.call(this);
      return;
    }
    // Data that comes from now on is not a request.
    this.removeAllListeners("data").on("data", ignore).resume();
    this.end();
  }
  /** Called when the client has closed its half. */
  function limitWriting(this: Socket): void {
    writing.add(this);
    this.on("close", forget);
  }
  return (socket) => {
    socket.destroySoon = endHalf;
    socket.on("end", limitWriting);
  };
}

function ignore(): void {}
