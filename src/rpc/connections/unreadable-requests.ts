/** Answers HTTP/1.1 input that is not a valid request: malformed, with too large headers, or incomplete. */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { ListenerLimits } from "../limits.ts";
import { afterOwedAnswers } from "./http1-messages.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

const statuses: ReadonlyMap<string | undefined, number> = new Map([
  ["ERR_HTTP_REQUEST_TIMEOUT", 408],
  ["HPE_HEADER_OVERFLOW", 431],
]);

/**
 * Creates Fastify's handler for errors of connections. It sends the answer, and then drops what the client still sends,
 * for at most `lingerTimeoutMs`. Destroying the connection at once would lose the answer, which TLS may not have sent
 * yet, or which the system drops together with unread bytes.
 *
 * Answers to whole requests before the invalid one go first (RFC 9112 section 9.3.2): sent among them, this one would
 * be read as theirs, or as a part of one. They have `lingerTimeoutMs` as well; then the connection is cut.
 */
export function createUnreadableRequestHandler({
  lingerTimeoutMs,
  checkIntervalMs,
}: Pick<ListenerLimits, "lingerTimeoutMs" | "checkIntervalMs">): (error: { code?: string }, socket: Socket) => void {
  const lingering = createSharedTimeout<Socket>(lingerTimeoutMs, checkIntervalMs, (socket) => socket.destroy());
  const refused = new WeakSet<Socket>();
  function forget(this: Socket): void {
    lingering.delete(this);
  }
  return ({ code }, socket) => {
    if (socket.destroyed || socket.writableEnded) return;
    if (code === "ECONNRESET" || !socket.writable || isInHandshake(socket)) {
      socket.destroy();
      return;
    }
    // Node reports the same connection again when more of it arrives.
    if (refused.has(socket)) return;
    refused.add(socket);
    lingering.add(socket);
    socket.on("close", forget);
    afterOwedAnswers(socket, (isIncompleteAnswered) => {
      if (socket.destroyed || socket.writableEnded) return;
      if (isIncompleteAnswered) socket.end();
      else socket.end(formatRefusal(statuses.get(code) ?? 400));
      lingering.delete(socket);
      lingering.add(socket);
    });
  };
}

/**
 * Whether a connection is still in its TLS handshake, of which Node reports errors as well, such as that it takes too
 * long. Nothing may be written to it before the handshake is done: Node 24.21.0 ends the process by an assertion when
 * such a write is still waiting while an HTTP/2 session begins.
 */
function isInHandshake(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.alpnProtocol === null;
}

function formatRefusal(status: number): string {
  const body = JSON.stringify({ statusCode: status, error: STATUS_CODES[status] });
  const fields = `Connection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${fields}\r\n\r\n${body}`;
}
