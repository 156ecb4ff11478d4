/**
 * Serves Connect's handlers through Fastify, as @connectrpc/connect-fastify does, which answers a request that it cannot read by an
 * empty 200, and prints what fails to standard error. Here such a request is refused, what fails is logged and ends the answer, and
 * 405 names the methods that are allowed (RFC 9110 section 15.5.6).
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
import type { UniversalHandler, UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
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

/** What is served, and how; Connect's own options mean what they mean there. */
export interface ConnectRoutesOptions extends ConnectRouterOptions {
  readonly routes: (router: ConnectRouter) => void;
  /** Makes the values that handlers find in their context. */
  readonly contextValues: (request: FastifyRequest) => ContextValues;
  readonly limits: Pick<ListenerLimits, "lingerTimeoutMs">;
  readonly log: Logger;
  /** Is told of requests that become no call: no host, a method or a content type that no protocol has. Default: nobody. */
  readonly onUnserved?: ((code: Code) => void) | undefined;
}

/** Those that Connect has; of a name alone Fastify knows the forms with parameters, too. */
const contentTypes: readonly (string | RegExp)[] = [
  connect.contentTypeUnaryJson,
  connect.contentTypeStreamJson,
  grpcWeb.contentTypeJson,
  grpc.contentTypeJson,
  connect.contentTypeRegExp,
  grpcWeb.contentTypeRegExp,
  grpc.contentTypeRegExp,
];

/** The plugin; see the module's text. */
export async function connectRoutes(instance: FastifyInstance, options: ConnectRoutesOptions): Promise<void> {
  const router = createConnectRouter({ acceptCompression: [compressionGzip, compressionBrotli], ...options });
  options.routes(router);
  // Connect reads the bodies itself.
  for (const type of contentTypes) {
    instance.addContentTypeParser(type, (_request, _payload, done) => done(null, undefined));
  }
  for (const handler of router.handlers) {
    instance.all(handler.requestPath, (request, reply) => {
      reply.hijack();
      return serve(handler, request, reply, options);
    });
  }
}

/** Never rejects. */
async function serve(
  handler: UniversalHandler,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ConnectRoutesOptions,
): Promise<void> {
  try {
    const response = await handler(readRequest(request, reply, options));
    if (negotiationFailures.has(response.status)) options.onUnserved?.(Code.Unimplemented);
    await universalResponseToNodeResponse(nameMethods(response, handler), reply.raw);
  } catch (error) {
    fail(error, reply, options);
  }
}

/** Answers to a method, a content type or a version of HTTP that no protocol has. */
const negotiationFailures: ReadonlySet<number> = new Set([405, 415, 505]);

/** Throws ConnectError with `invalid_argument` for a request without a sound host. */
function readRequest(
  request: FastifyRequest,
  reply: FastifyReply,
  { contextValues }: ConnectRoutesOptions,
): UniversalServerRequest {
  const values = contextValues(request);
  try {
    return universalRequestFromNodeRequest(request.raw, reply.raw, request.body as JsonValue | undefined, values);
  } catch {
    throw new ConnectError("the request names no valid host", Code.InvalidArgument);
  }
}

function nameMethods(response: UniversalServerResponse, { allowedMethods }: UniversalHandler): UniversalServerResponse {
  if (response.status !== 405) return response;
  return { ...response, header: new Headers({ allow: allowedMethods.join(", ") }) };
}

function fail(error: unknown, reply: FastifyReply, { limits, log, onUnserved }: ConnectRoutesOptions): void {
  if (isGone(reply)) return;
  const refusal = error instanceof ConnectError && error.code === Code.InvalidArgument ? error : undefined;
  if (refusal === undefined) log.error({ err: error }, "an answer failed for a reason that is not the caller's");
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  const answer = refusal ?? new ConnectError("internal error", Code.Internal);
  onUnserved?.(answer.code);
  replyWithError(reply, answer, limits);
}

/** Whether the caller has left, which ends an answer in any of many ways. */
function isGone({ raw }: FastifyReply): boolean {
  const { stream } = raw as { stream?: { readonly destroyed: boolean; readonly closed: boolean } };
  return stream === undefined ? raw.destroyed : stream.destroyed || stream.closed;
}
