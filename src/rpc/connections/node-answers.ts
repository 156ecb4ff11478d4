/**
 * Replaces the answers that Node sends on its own, before Fastify gets a request and without checking that the caller
 * is still there.
 */
import type { EventEmitter } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { sendByHttp2 } from "../wire/send-answer.ts";

type Request = IncomingMessage & { readonly stream?: ServerHttp2Stream };
type Response = ServerResponse & { readonly stream?: ServerHttp2Stream };

/**
 * Makes an HTTP/2 server, or one for both versions of HTTP, answer
 * - an unknown expectation by ignoring it (RFC 9110 section 10.1.1), since Node's own answer would leave the stream
 *   open;
 * - `100-continue` by 100 and then by `serve`, if the caller is still there;
 * - CONNECT over HTTP/2 by 405 and the end of the stream, and over HTTP/1.1 by closing the connection.
 */
export function replaceNodeAnswers(server: EventEmitter, serve: RequestListener): void {
  server.on("checkExpectation", serve);
  server.on("checkContinue", (request: Request, response: Response) => {
    if (hasGone(response)) return;
    sendContinue(response);
    serve(request, response);
  });
  server.on("connect", ({ stream }: Request, socket: Socket) => {
    if (stream === undefined) socket.destroy();
    else sendByHttp2(stream, { status: 405, headers: {} }, { isHead: false, isRead: false });
  });
}

/**
 * Sends 100 when it is the response's turn, unless the answer itself is there by then (RFC 9110 section 10.1.1). Of a
 * response that still waits for earlier ones on its connection, Node would send it between the answer's head and body.
 */
function sendContinue(response: Response): void {
  if (response.stream !== undefined || response.socket !== null) response.writeContinue();
  else {
    response.once("socket", () => {
      if (!response.headersSent) response.writeContinue();
    });
  }
}

function hasGone({ stream, destroyed }: Response): boolean {
  return stream === undefined ? destroyed : stream.destroyed || stream.closed;
}
