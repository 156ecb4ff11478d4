/**
 * What happens to a call of an agent before Connect's handler sees it: its body is read and bounded, its caller authenticated on
 * the raw bytes, its message found decodable. Nothing is parsed for a caller who proved nothing.
 */
import type { TLSSocket } from "node:tls";
import type { DescMethodUnary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import { findBinaryMessage } from "./binary-message.ts";
import { dropDistantDeadline } from "./distant-deadline.ts";
import { type ListenerLimits, maxCallerTimeoutMs } from "./limits.ts";
import { replyWithError } from "./protocol-error.ts";
import { readBody } from "./request-body.ts";
import { findUndecodableField } from "./undecodable-field.ts";

/** A call as its caller sent it. */
export interface RawCall {
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly path: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Uint8Array;
  readonly remoteAddress: string | undefined;
}

/** A caller's connection. */
export interface CallConnection {
  /** The same object in all requests of the connection. */
  readonly id: object;
  /** Undefined on a plaintext connection. */
  readonly tls: TLSSocket | undefined;
}

/**
 * Decides who calls and sets it in `values`; throws a ConnectError to refuse. It is called before the body is read, while the
 * connection is known to be open, and returns what is left to do once it is.
 */
export type Authenticate = (
  connection: CallConnection,
  values: ContextValues,
) => (call: RawCall) => Promise<void> | void;

const valuesByRequest = new WeakMap<FastifyRequest, ContextValues>();

/** The values that intake set for a call, for Connect's handler. */
export function getContextValues(request: FastifyRequest): ContextValues {
  return valuesByRequest.get(request) ?? createContextValues();
}

/** Makes the hook that runs before the handler of `method`; errors that are not ConnectErrors go through `toConnectError`. */
export function createIntake(
  method: DescMethodUnary,
  authenticate: Authenticate,
  toConnectError: (error: unknown) => ConnectError,
  limits: ListenerLimits,
) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    try {
      const authority = getAuthority(request);
      // Connect's handler answers anything but POST by itself, without reading.
      if (request.method !== "POST") return;
      dropDistantDeadline(request.raw.headers, maxCallerTimeoutMs);
      const values = createContextValues();
      const finish = authenticate(getConnection(request), values);
      const body = await readBody(request.raw, limits);
      await finish({ ...describe(request), authority, body });
      await assertDecodable(method, request, body, limits);
      valuesByRequest.set(request, values);
      request.body = iterate(body);
    } catch (error) {
      replyWithError(reply, toConnectError(error), limits);
    }
  };
}

function describe(request: FastifyRequest): Omit<RawCall, "authority" | "body"> {
  const { method, url, headers, protocol } = request;
  const remoteAddress = request.raw.socket.remoteAddress;
  const path = url.split("?", 1)[0] ?? "/";
  return { method, scheme: protocol === "https" ? "https" : "http", path, headers, remoteAddress };
}

function getConnection(request: FastifyRequest): CallConnection {
  const raw = request.raw as typeof request.raw & { stream?: { session?: object } };
  const tls = "getPeerX509Certificate" in raw.socket ? (raw.socket as TLSSocket) : undefined;
  return { id: raw.stream?.session ?? raw.socket, tls };
}

/** Connect's handler builds a URL from it, and never answers when that throws. */
function getAuthority(request: FastifyRequest): string {
  const raw = request.raw as typeof request.raw & { authority?: string };
  const authority = raw.authority ?? request.headers.host ?? "";
  if (authority === "" || !URL.canParse(request.url, `http://${authority}`)) {
    throw new ConnectError("the request names no valid host", Code.InvalidArgument);
  }
  return authority;
}

async function assertDecodable(
  method: DescMethodUnary,
  request: FastifyRequest,
  body: Uint8Array,
  limits: ListenerLimits,
): Promise<void> {
  const message = await findBinaryMessage(request.headers, body, limits);
  const problem = message && findUndecodableField(method.input, message);
  if (problem !== undefined) throw new ConnectError(problem, Code.InvalidArgument);
}

async function* iterate(body: Uint8Array): AsyncIterable<Uint8Array> {
  if (body.length > 0) yield body;
}
