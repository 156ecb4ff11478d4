/** Answers calls that end before Connect's handler runs with errors in the caller's own protocol. */
import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import type { FastifyReply } from "fastify";
import type { ListenerLimits } from "../limits.ts";
import { frameTrailers } from "./grpc-frames.ts";
import { setErrorTrailers } from "./grpc-status.ts";
import { type Answer, sendAnswer } from "./send-answer.ts";

/**
 * Answers a call with an error: gRPC by Trailers-Only, gRPC-Web by a trailer frame, and anything else as Connect does,
 * by HTTP status and JSON. `httpStatus` replaces Connect's status for the error's code. 415 means that the content type
 * belongs to no protocol, so the answer is plain text and clients go by the status.
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
    return { status: 200, headers: { "content-type": contentType }, body: frameTrailers(toTrailers(error)) };
  }
  if (contentType.startsWith("application/grpc")) {
    return { status: 200, headers: { "content-type": contentType, ...toTrailers(error) } };
  }
  const body = Buffer.from(JSON.stringify(errorToJson(error, undefined)));
  const about = { "content-type": "application/json", "content-length": body.length.toString() };
  return {
    status: httpStatus ?? toHttpStatus(error),
    headers: { ...Object.fromEntries(error.metadata), ...about },
    body,
  };
}

/** Returns Connect's HTTP status for an error, except that an unknown path or method is 404, as in HTTP. */
function toHttpStatus(error: ConnectError): number {
  return error.code === Code.Unimplemented ? 404 : codeToHttpStatus(error.code);
}

function toTrailers(error: ConnectError): Record<string, string> {
  const trailers = new Headers();
  setErrorTrailers(trailers, error);
  return Object.fromEntries(trailers);
}
