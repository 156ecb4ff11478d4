/** Errors of calls that end before Connect's handler runs, in the caller's own protocol. */
import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { FastifyReply } from "fastify";
import type { ListenerLimits } from "./limits.ts";
import { type Answer, sendAnswer } from "./send-answer.ts";

/**
 * Answers a call with an error: gRPC by trailers alone, which stand in the headers then, gRPC-Web by a trailer frame, anything else as Connect does, by HTTP status and
 * JSON. `httpStatus` replaces the status that Connect has for the error's code; 415 says that the content type names no protocol, so
 * the answer is in none, and clients go by the status.
 */
export function replyWithError(
  reply: FastifyReply,
  error: ConnectError,
  limits: Pick<ListenerLimits, "lingerTimeoutMs">,
  httpStatus?: number,
): void {
  const contentType = reply.request.headers["content-type"] ?? "";
  sendAnswer(reply, toAnswer(error, contentType, httpStatus), limits.lingerTimeoutMs);
}

const unsupportedMediaType = 415;

function toAnswer(error: ConnectError, contentType: string, httpStatus?: number): Answer {
  if (httpStatus === unsupportedMediaType) {
    return { status: httpStatus, headers: { "content-type": "text/plain" }, body: Buffer.from(error.rawMessage) };
  }
  if (contentType.startsWith("application/grpc-web")) {
    return { status: 200, headers: { "content-type": contentType }, body: toTrailerFrame(error) };
  }
  if (contentType.startsWith("application/grpc")) {
    const status = Object.fromEntries(setTrailerStatus(new Headers(), error));
    return { status: 200, headers: { "content-type": contentType, ...status } };
  }
  return {
    status: httpStatus ?? toHttpStatus(error),
    headers: { ...Object.fromEntries(error.metadata), "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(errorToJson(error, undefined))),
  };
}

/** Connect's own mapping, but that a call nobody knows stays what HTTP calls it. */
function toHttpStatus(error: ConnectError): number {
  return error.code === Code.Unimplemented ? 404 : codeToHttpStatus(error.code);
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
