/**
 * A call before it is decoded, served by the lane or by Connect's handler: what authentication needs, its connection,
 * and the deadline that its caller sets.
 */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import { Code, ConnectError, type ContextValues, createContextKey } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { findPeerAddress } from "../connections/peer-address.ts";
import type { CallRecord } from "./call-record.ts";

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

/**
 * Authenticates the caller and stores the result in `values`. Throws a ConnectError to refuse the call. It is called
 * before the body is read, while the connection is known to be open, and returns a function that completes the work
 * once the body has been read.
 */
export type Authenticate = (
  connection: CallConnection,
  values: ContextValues,
) => (call: RawCall) => Promise<void> | void;

/** A caller's connection, with the properties that all its calls share. */
export class CallConnection {
  /** Object that identifies the connection; the same in all its requests. */
  readonly id: object;
  /** Undefined on a plaintext connection. */
  readonly tls: TLSSocket | undefined;
  readonly scheme: "http" | "https";
  readonly remoteAddress: string | undefined;
  #origin: Origin | undefined;

  constructor(id: object, socket: TLSSocket, isEncrypted: boolean) {
    this.id = id;
    this.tls = isEncrypted ? socket : undefined;
    this.scheme = isEncrypted ? "https" : "http";
    this.remoteAddress = findPeerAddress(socket);
  }

  /**
   * Returns the URL of a path under the authority of a request, as a handler sees it. Throws ConnectError with
   * `invalid_argument` if they do not form a valid URL.
   */
  getUrl(authority: string | undefined, path: string): string {
    if (authority === undefined || authority === "") throw invalidHost();
    if (authority !== this.#origin?.authority) this.#origin = getOrigin(authority, this.scheme);
    return plainPath.test(path) ? this.#origin.url + path : parseUrl(authority, this.scheme, path).toString();
  }
}

/** Common beginning of the URLs under an authority. */
interface Origin {
  readonly authority: string;
  readonly scheme: string;
  /** Without a trailing slash. */
  readonly url: string;
}

/** The latest origin, which nearly all connections share. */
let latestOrigin: Origin | undefined;

function getOrigin(authority: string, scheme: string): Origin {
  if (latestOrigin?.authority !== authority || latestOrigin.scheme !== scheme) {
    latestOrigin = { authority, scheme, url: parseUrl(authority, scheme, "/").toString().slice(0, -1) };
  }
  return latestOrigin;
}

/** Form of the paths of methods, which URL parsing leaves unchanged. */
const plainPath = /^\/[\w.]+\/\w+$/;

function parseUrl(authority: string, scheme: string, path: string): URL {
  const url = URL.parse(path, `${scheme}://${authority}`);
  if (url === null) throw invalidHost();
  return url;
}

function invalidHost(): ConnectError {
  return new ConnectError("the request has no valid host", Code.InvalidArgument);
}

const connections = new WeakMap<object, CallConnection>();

/** Returns the connection of an HTTP/2 stream, or undefined once it is closed. */
export function findHttp2Connection({ session }: ServerHttp2Stream): CallConnection | undefined {
  if (session === undefined || session.destroyed) return undefined;
  return connections.get(session) ?? remember(session, session.socket as TLSSocket, session.encrypted === true);
}

/** Returns the connection of an HTTP/1.1 request, or undefined once it is closed. */
export function findHttp1Connection({ socket }: IncomingMessage): CallConnection | undefined {
  if (socket.destroyed) return undefined;
  return connections.get(socket) ?? remember(socket, socket as TLSSocket, "encrypted" in socket);
}

function remember(id: object, socket: TLSSocket, encrypted: boolean): CallConnection {
  const connection = new CallConnection(id, socket, encrypted);
  connections.set(id, connection);
  return connection;
}

/** A caller's deadline; neither property is set if there is none. */
export interface CallerDeadline {
  /** How long the caller waits, in milliseconds from its request's headers. */
  readonly timeoutMs?: number | undefined;
  /** Error `invalid_argument` for a header that is not a valid deadline. */
  readonly error?: ConnectError | undefined;
}

/**
 * Context key of how long the caller waits, in milliseconds from its request's headers; undefined without a deadline.
 */
export const callerTimeoutKey = createContextKey<number | undefined>(undefined, {
  description: "how long the caller waits",
});

/**
 * Reads the deadline in `grpc-timeout` (PROTOCOL-HTTP2, "Timeout") or, for Connect's protocol, in `connect-timeout-ms`.
 * A deadline beyond `maxMs` counts as none, since gRPC allows up to 11,000 years, which means for ever. Its header is
 * deleted, because Connect's handler would start a timer that overflows and then refuse the call.
 */
export function readCallerDeadline(
  protocol: CallRecord["protocol"],
  headers: IncomingHttpHeaders,
  maxMs: number,
): CallerDeadline {
  const name = protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout";
  const value = headers[name];
  if (value === undefined) return none;
  const parse = protocol === "connect" ? parseConnectTimeout : parseGrpcTimeout;
  const deadline = parse(String(value), Number.POSITIVE_INFINITY);
  if (deadline.timeoutMs === undefined || deadline.timeoutMs <= maxMs) return deadline;
  delete headers[name];
  return none;
}

const none: CallerDeadline = {};
