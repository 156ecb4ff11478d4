/**
 * The intake of agents' calls, before Connect's handler sees them: it reads and bounds the body and authenticates the
 * caller on the raw bytes. Nothing is parsed for an unauthenticated caller. The unary lane does the same on its own.
 */
import type { IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { DescMethodUnary } from "@bufbuild/protobuf";
import { type ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type ListenerLimits, maxCallerTimeoutMs } from "../limits.ts";
import { replyWithError } from "../wire/protocol-error.ts";
import { callerGone, readBody } from "../wire/request-body.ts";
import type { OnCall } from "./call-record.ts";
import { findProtocol, recordCall } from "./connect-call-record.ts";
import {
  type Authenticate,
  type CallConnection,
  callerTimeoutKey,
  findHttp1Connection,
  findHttp2Connection,
  readCallerDeadline,
} from "./raw-call.ts";

const valuesByRequest = new WeakMap<FastifyRequest, ContextValues>();

/** Returns the context values that the intake set for a call, for Connect's handler. */
export function getContextValues(request: FastifyRequest): ContextValues {
  return valuesByRequest.get(request) ?? createContextValues();
}

/** Creates the Fastify hook that runs before the handler of `method`. Errors are converted by `toConnectError`. */
export function createIntake(
  method: DescMethodUnary,
  authenticate: Authenticate,
  toConnectError: (error: unknown) => ConnectError,
  limits: ListenerLimits,
  onCall?: OnCall,
) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const values = createContextValues();
    valuesByRequest.set(request, values);
    const protocol = findProtocol(request);
    const noteRefusal = onCall && recordCall(method, protocol, request, reply, values, onCall);
    try {
      const connection = getConnection(request);
      const authority = getAuthority(request);
      connection.getUrl(authority, request.url);
      // Connect's handler answers every other method without reading a body.
      if (request.method !== "POST") return;
      // Connect's handler refuses an invalid deadline.
      const { timeoutMs } = readCallerDeadline(protocol, request.raw.headers, maxCallerTimeoutMs);
      values.set(callerTimeoutKey, timeoutMs);
      const finish = authenticate(connection, values);
      const body = await readBody(request.raw, limits);
      const path = request.url.split("?", 1)[0] ?? "/";
      const { method: httpMethod, headers } = request;
      const { scheme, remoteAddress } = connection;
      await finish({ method: httpMethod, scheme, authority, path, headers, body, remoteAddress });
      request.body = iterate(body);
    } catch (error) {
      const refusal = toConnectError(error);
      noteRefusal?.(refusal);
      replyWithError(reply, refusal, limits);
    }
  };
}

type RawRequest = IncomingMessage & { readonly stream?: ServerHttp2Stream; readonly authority?: string };

function getConnection({ raw }: { readonly raw: RawRequest }): CallConnection {
  const connection = raw.stream === undefined ? findHttp1Connection(raw) : findHttp2Connection(raw.stream);
  if (connection === undefined) throw callerGone();
  return connection;
}

function getAuthority({ raw }: { readonly raw: RawRequest }): string {
  return raw.authority ?? raw.headers.host ?? "";
}

async function* iterate(body: Uint8Array): AsyncIterable<Uint8Array> {
  if (body.length > 0) yield body;
}
