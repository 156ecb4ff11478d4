/** Errors of calls that end before Connect's handler runs, in the caller's own protocol. */
import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { FastifyReply } from "fastify";

/**
 * Answers a call with an error: gRPC by trailers, gRPC-Web by a trailer frame, anything else as Connect does, by HTTP status and
 * JSON. A request whose body was not read to its end loses its connection (HTTP/1.1) or its stream (HTTP/2).
 */
export function replyWithError(reply: FastifyReply, error: ConnectError): void {
  const contentType = reply.request.headers["content-type"] ?? "";
  discardBodyAfter(reply);
  if (contentType.startsWith("application/grpc-web")) {
    reply
      .code(200)
      .header("content-type", contentType)
      .send(Buffer.from(toTrailerFrame(error)));
  } else if (contentType.startsWith("application/grpc")) {
    replyWithTrailers(reply, contentType, error);
  } else {
    for (const [name, value] of error.metadata) reply.header(name, value);
    reply.code(toHttpStatus(error)).header("content-type", "application/json").send(errorToJson(error, undefined));
  }
}

/** Connect's own mapping, but that a call nobody knows stays what HTTP calls it. */
function toHttpStatus(error: ConnectError): number {
  return error.code === Code.Unimplemented ? 404 : codeToHttpStatus(error.code);
}

function replyWithTrailers(reply: FastifyReply, contentType: string, error: ConnectError): void {
  reply.hijack();
  reply.raw.writeHead(200, { "content-type": contentType });
  reply.raw.addTrailers(Object.fromEntries(setTrailerStatus(new Headers(), error)));
  reply.raw.end();
}

/** One frame: flag, length in four bytes, then the trailers as HTTP/1.1 fields. */
function toTrailerFrame(error: ConnectError): Uint8Array {
  const trailers = trailerSerialize(setTrailerStatus(new Headers(), error));
  const frame = new Uint8Array(5 + trailers.length);
  frame[0] = trailerFlag;
  new DataView(frame.buffer).setUint32(1, trailers.length);
  frame.set(trailers, 5);
  return frame;
}

function discardBodyAfter(reply: FastifyReply): void {
  const { raw } = reply.request;
  if (raw.readableEnded || raw.complete) return;
  if (raw.httpVersionMajor < 2) reply.header("connection", "close");
  reply.raw.once("finish", () => raw.destroy());
}
