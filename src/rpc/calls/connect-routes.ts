/**
 * Serves Connect's handlers through Fastify, as @connectrpc/connect-fastify does. That plugin, however, answers a
 * request that it cannot read with an empty 200, and prints failures to standard error. This one refuses such a
 * request, logs a failure and ends the answer, and names the allowed methods in a 405 (RFC 9110 section 15.5.6).
 */
import type { JsonValue } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ConnectRouterOptions,
  type ContextValues,
  createConnectRouter,
} from "@connectrpc/connect";
import {
  type UniversalHandler,
  type UniversalServerRequest,
  type UniversalServerResponse,
  validateUniversalHandlerOptions,
} from "@connectrpc/connect/protocol";
import * as connect from "@connectrpc/connect/protocol-connect";
import * as grpc from "@connectrpc/connect/protocol-grpc";
import * as grpcWeb from "@connectrpc/connect/protocol-grpc-web";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { ListenerLimits } from "../limits.ts";
import { replyWithError } from "../wire/protocol-error.ts";
import { isFailedWrite } from "../wire/request-body.ts";
import { createMessageEncoder, type MessageEncoder, streamAnswerKey } from "./shared-messages.ts";

/** Options of `connectRoutes`. Connect's own options keep their meaning. */
export interface ConnectRoutesOptions extends ConnectRouterOptions {
  readonly routes: (router: ConnectRouter) => void;
  /** Returns the context values of a request's call. */
  readonly contextValues: (request: FastifyRequest) => ContextValues;
  readonly limits: Pick<ListenerLimits, "lingerTimeoutMs">;
  readonly log: Logger;
  /**
   * Called for each request that does not become a call, because of an invalid host or a method or content type that no
   * protocol has.
   */
  readonly onUnserved?: ((code: Code) => void) | undefined;
}

/** Content types of Connect. For a plain name, Fastify also matches it with parameters. */
const contentTypes: readonly (string | RegExp)[] = [
  connect.contentTypeUnaryJson,
  connect.contentTypeStreamJson,
  grpcWeb.contentTypeJson,
  grpc.contentTypeJson,
  connect.contentTypeRegExp,
  grpcWeb.contentTypeRegExp,
  grpc.contentTypeRegExp,
];

/** Fastify plugin that serves Connect's handlers, and refuses requests that they cannot read. */
export async function connectRoutes(instance: FastifyInstance, options: ConnectRoutesOptions): Promise<void> {
  const connectOptions = { acceptCompression: [compressionGzip, compressionBrotli], ...options };
  const router = createConnectRouter(connectOptions);
  options.routes(router);
  // Connect reads bodies itself.
  for (const type of contentTypes) {
    instance.addContentTypeParser(type, (_request, _payload, done) => done(null, undefined));
  }
  for (const handler of router.handlers) {
    const encoder = createMessageEncoder(handler.method, validateUniversalHandlerOptions(connectOptions));
    instance.all(handler.requestPath, (request, reply) => {
      reply.hijack();
      return serve({ handler, encoder }, request, reply, options);
    });
  }
}

/** Serves one request. Never rejects. */
async function serve(
  { handler, encoder }: { readonly handler: UniversalHandler; readonly encoder: MessageEncoder },
  request: FastifyRequest,
  reply: FastifyReply,
  options: ConnectRoutesOptions,
): Promise<void> {
  reply.raw.once("close", endWait);
  try {
    const response = await handler(readRequest(request, reply, encoder, options));
    if (negotiationFailures.has(response.status)) options.onUnserved?.(Code.Unimplemented);
    await universalResponseToNodeResponse(nameMethods(response, handler), reply.raw);
  } catch (error) {
    fail(error, reply, options);
  }
}

/**
 * Ends the wait for room in an answer whose connection is gone. Over TLS, Node may report the last write as done, and
 * Connect would wait for ever, with all that the handler holds.
 */
function endWait(this: FastifyReply["raw"]): void {
  this.emit("drain");
}

/** Statuses of answers to a method, a content type or a version of HTTP that no protocol has. */
const negotiationFailures: ReadonlySet<number> = new Set([405, 415, 505]);

/** Converts a request for Connect. Throws ConnectError with `invalid_argument` for a request without a valid host. */
function readRequest(
  request: FastifyRequest,
  reply: FastifyReply,
  encoder: MessageEncoder,
  { contextValues }: ConnectRoutesOptions,
): UniversalServerRequest {
  const values = contextValues(request).set(streamAnswerKey, { response: reply.raw, encoder });
  try {
    return universalRequestFromNodeRequest(request.raw, reply.raw, request.body as JsonValue | undefined, values);
  } catch {
    throw new ConnectError("the request has no valid host", Code.InvalidArgument);
  }
}

function nameMethods(response: UniversalServerResponse, { allowedMethods }: UniversalHandler): UniversalServerResponse {
  if (response.status !== 405) return response;
  return { ...response, header: new Headers({ allow: allowedMethods.join(", ") }) };
}

function fail(error: unknown, reply: FastifyReply, { limits, log, onUnserved }: ConnectRoutesOptions): void {
  if (isGone(reply) || isFailedWrite(error)) return;
  const refusal = error instanceof ConnectError && error.code === Code.InvalidArgument ? error : undefined;
  if (refusal === undefined) log.error({ err: error }, "an answer failed because of an internal error");
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  const answer = refusal ?? new ConnectError("internal error", Code.Internal);
  onUnserved?.(answer.code);
  replyWithError(reply, answer, limits);
}

/** Returns whether the caller has left, which can make an answer fail in many ways. */
function isGone({ raw }: FastifyReply): boolean {
  const { stream } = raw as { stream?: { readonly destroyed: boolean; readonly closed: boolean } };
  return stream === undefined ? raw.destroyed : stream.destroyed || stream.closed;
}
