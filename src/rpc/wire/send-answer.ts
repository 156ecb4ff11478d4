/**
 * Sends answers while the caller may still be sending, so that they reach it and the rest of its request is bounded.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { FastifyReply } from "fastify";
import { discardBody } from "./request-body.ts";

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: Uint8Array | string | undefined;
}

type Request = IncomingMessage & { readonly stream?: ServerHttp2Stream };

/**
 * Sends an answer, whether or not the request's body was completely read. Over HTTP/2, the stream of an unread body is
 * reset without an error (RFC 9113 section 8.1). Over HTTP/1.1, its connection closes, but only once the caller has
 * sent everything or `lingerTimeoutMs` have passed: closed at once, it would be reset, and the caller would lose the
 * answer (RFC 9112 section 9.6).
 */
export function sendAnswer(reply: FastifyReply, answer: Answer, lingerTimeoutMs: number): void {
  const request: Request = reply.request.raw;
  reply.hijack();
  if (request.stream === undefined) sendByHttp1(request, reply.raw, answer, lingerTimeoutMs);
  else sendByHttp2(request.stream, answer, { isHead: request.method === "HEAD", isRead: request.complete });
}

/** Sends an answer over HTTP/1.1, and closes a connection whose request's body is unread as `sendAnswer` describes. */
export function sendByHttp1(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  lingerTimeoutMs: number,
): void {
  if (response.destroyed) return;
  const { status, headers, body = "" } = answer;
  const content = request.method === "HEAD" ? "" : body;
  const isUnread = !request.complete && announcesBody(request);
  response.writeHead(status, {
    ...headers,
    "content-length": Buffer.byteLength(body),
    ...(isUnread && { connection: "close" }),
  });
  if (!isUnread) {
    response.end(content);
    return;
  }
  // Its content-length tells the caller that the answer is complete before the response ends.
  response.write(content);
  discardRest(request, lingerTimeoutMs, () => response.end());
}

function announcesBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function discardRest(request: IncomingMessage, timeoutMs: number, done: () => void): void {
  const timer = setTimeout(settle, timeoutMs);
  function settle() {
    clearTimeout(timer);
    request.off("end", settle).off("close", settle);
    done();
  }
  request.on("end", settle).on("close", settle);
  discardBody(request);
}

/**
 * Sends an answer over HTTP/2, and resets the stream of an unread body without an error. It bypasses Node's
 * compatibility API, which ends a stream with its own trailers, since a reset could overtake them.
 */
export function sendByHttp2(
  stream: ServerHttp2Stream,
  { status, headers, body }: Answer,
  request: { readonly isHead: boolean; readonly isRead: boolean },
): void {
  if (stream.destroyed || stream.closed) return;
  const content = request.isHead ? undefined : body;
  stream.respond({ ":status": status, ...headers }, { endStream: content === undefined });
  if (content !== undefined) stream.end(content);
  if (!request.isRead && !stream.endAfterHeaders) resetOnceSent(stream);
}

/**
 * Resets the stream without an error after its answer is sent, unless the request's body is complete by then. `close`
 * must not be called earlier: Node would regard the stream as closed, and if it were destroyed before the answer is
 * sent, Node would tell neither the client nor nghttp2, which could then ask it for data in an endless loop.
 */
export function resetOnceSent(stream: ServerHttp2Stream): void {
  if (stream.writableFinished) reset.call(stream);
  else stream.once("finish", reset);
}

function reset(this: ServerHttp2Stream): void {
  if (this.destroyed || this.closed || this.state.remoteClose === 1) return;
  this.close(constants.NGHTTP2_NO_ERROR);
  // Node destroys a closed stream only once all that had arrived is read, and its connection ends only after that.
  discardBody(this);
}
