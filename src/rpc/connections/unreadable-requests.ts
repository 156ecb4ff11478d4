/** Answers what comes over HTTP/1.1 and is no request: malformed, with headers too large, or never whole. */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

const statuses: ReadonlyMap<string | undefined, number> = new Map([
  ["ERR_HTTP_REQUEST_TIMEOUT", 408],
  ["HPE_HEADER_OVERFLOW", 431],
]);

/**
 * Makes a handler of Fastify's for the errors of connections. It sends the answer, and then drops what the client still says, for
 * `lingerTimeoutMs` at most: a connection that is destroyed at once takes the answer with it, which TLS may not have sent yet, or which
 * the system drops with the bytes that nobody has read.
 */
export function createUnreadableRequestHandler({
  lingerTimeoutMs,
  checkIntervalMs,
}: Pick<ListenerLimits, "lingerTimeoutMs" | "checkIntervalMs">): (error: { code?: string }, socket: Socket) => void {
  const lingering = createSharedTimeout<Socket>(lingerTimeoutMs, checkIntervalMs, (socket) => socket.destroy());
  function forget(this: Socket): void {
    lingering.delete(this);
  }
  return ({ code }, socket) => {
    if (socket.destroyed || socket.writableEnded) return;
    if (code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = statuses.get(code) ?? 400;
    const body = JSON.stringify({ statusCode: status, error: STATUS_CODES[status] });
    const fields = `Connection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${fields}\r\n\r\n${body}`);
    lingering.add(socket);
    socket.on("close", forget);
  };
}
