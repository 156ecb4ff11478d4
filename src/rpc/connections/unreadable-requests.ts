/** Answers HTTP/1.1 input that is not a valid request: malformed, with too large headers, or incomplete. */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

const statuses: ReadonlyMap<string | undefined, number> = new Map([
  ["ERR_HTTP_REQUEST_TIMEOUT", 408],
  ["HPE_HEADER_OVERFLOW", 431],
]);

/**
 * Creates Fastify's handler for errors of connections. It sends the answer, and then drops what the client still sends,
 * for at most `lingerTimeoutMs`. Destroying the connection at once would lose the answer, which TLS may not have sent
 * yet, or which the system drops together with unread bytes.
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
