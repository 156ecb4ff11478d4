/**
 * Makes sure that the last answer of an HTTP/1.1 connection arrives, even if its client has sent more after the
 * request.
 */
import type { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

/**
 * Creates a function to be called with each connection. When Node ends the connection after an answer with `connection:
 * close`, only this side's half is closed. Data that the client still sends is dropped until the client closes its half
 * as well, for at most `lingerTimeoutMs`. Closed at once, a connection with unread requests would be reset, and the
 * client would lose the answer (RFC 9112 section 9.6).
 */
export function createLastAnswerGuard({
  lingerTimeoutMs,
  checkIntervalMs,
}: Pick<ListenerLimits, "lingerTimeoutMs" | "checkIntervalMs">): (socket: Socket) => void {
  const lingering = createSharedTimeout<Socket>(lingerTimeoutMs, checkIntervalMs, (socket) => socket.destroy());

  function forget(this: Socket): void {
    lingering.delete(this);
  }
  /** Called by Node's HTTP server when the last answer has been written. */
  function endHalf(this: Socket): void {
    lingering.add(this);
    this.on("close", forget);
    // Data that comes from now on is not a request.
    this.removeAllListeners("data").on("data", ignore).resume();
    this.end();
  }
  return (socket) => {
    socket.destroySoon = endHalf;
  };
}

function ignore(): void {}
