/** Lets the last answer of a connection over HTTP/1.1 arrive, whatever its client has sent behind the request. */
import type { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

/**
 * Makes a function that is called with each connection. When Node ends it behind an answer that says `connection: close`, only this
 * side's half ends: what the client still sends is dropped until it ends its half as well, for `lingerTimeoutMs` at most. Closed at
 * once, with requests in it that nobody has read, it would be reset, and the client would lose the answer (RFC 9112 section 9.6).
 */
export function createLastAnswerGuard({
  lingerTimeoutMs,
  checkIntervalMs,
}: Pick<ListenerLimits, "lingerTimeoutMs" | "checkIntervalMs">): (socket: Socket) => void {
  const lingering = createSharedTimeout<Socket>(lingerTimeoutMs, checkIntervalMs, (socket) => socket.destroy());

  function forget(this: Socket): void {
    lingering.delete(this);
  }
  /** Node's HTTP server calls it when the last answer is out. */
  function endHalf(this: Socket): void {
    lingering.add(this);
    this.on("close", forget);
    // Nothing that comes now is a request.
    this.removeAllListeners("data").on("data", ignore).resume();
    this.end();
  }
  return (socket) => {
    socket.destroySoon = endHalf;
  };
}

function ignore(): void {}
