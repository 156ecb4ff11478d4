/** A call before it is decoded: what authenticates it, whichever way it is served. */
import type { IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { TLSSocket } from "node:tls";
import { Code, ConnectError, type ContextValues } from "@connectrpc/connect";

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
 * Decides who calls and sets it in `values`; throws a ConnectError to refuse. It is called before the body is read, while the
 * connection is known to be open, and returns what is left to do once it is.
 */
export type Authenticate = (
  connection: CallConnection,
  values: ContextValues,
) => (call: RawCall) => Promise<void> | void;

/** A caller's connection, and what all of its calls have in common. */
export class CallConnection {
  /** The same object in all requests of the connection. */
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
    this.remoteAddress = socket.remoteAddress;
  }

  /**
   * The URL, as a handler sees it, of a path under the authority that a request names. Throws ConnectError with `invalid_argument`
   * when the two are none.
   */
  getUrl(authority: string | undefined, path: string): string {
    if (authority === undefined || authority === "") throw invalidHost();
    if (authority !== this.#origin?.authority) this.#origin = getOrigin(authority, this.scheme);
    return plainPath.test(path) ? this.#origin.url + path : parseUrl(authority, this.scheme, path).toString();
  }
}

/** What the URLs under an authority begin with. */
interface Origin {
  readonly authority: string;
  readonly scheme: string;
  /** Without a slash at its end. */
  readonly url: string;
}

/** Nearly all connections name the same one: they share it. */
let latestOrigin: Origin | undefined;

function getOrigin(authority: string, scheme: string): Origin {
  if (latestOrigin?.authority !== authority || latestOrigin.scheme !== scheme) {
    latestOrigin = { authority, scheme, url: parseUrl(authority, scheme, "/").toString().slice(0, -1) };
  }
  return latestOrigin;
}

/** Paths that stay as they are in a URL: those of methods. */
const plainPath = /^\/[\w.]+\/\w+$/;

function parseUrl(authority: string, scheme: string, path: string): URL {
  const url = URL.parse(path, `${scheme}://${authority}`);
  if (url === null) throw invalidHost();
  return url;
}

function invalidHost(): ConnectError {
  return new ConnectError("the request names no valid host", Code.InvalidArgument);
}

const connections = new WeakMap<object, CallConnection>();

/** The connection of an HTTP/2 stream; undefined once it is gone. */
export function findHttp2Connection({ session }: ServerHttp2Stream): CallConnection | undefined {
  if (session === undefined || session.destroyed) return undefined;
  return connections.get(session) ?? remember(session, session.socket as TLSSocket, session.encrypted === true);
}

/** The connection of an HTTP/1.1 request; undefined once it is gone. */
export function findHttp1Connection({ socket }: IncomingMessage): CallConnection | undefined {
  if (socket.destroyed) return undefined;
  return connections.get(socket) ?? remember(socket, socket as TLSSocket, "encrypted" in socket);
}

function remember(id: object, socket: TLSSocket, encrypted: boolean): CallConnection {
  const connection = new CallConnection(id, socket, encrypted);
  connections.set(id, connection);
  return connection;
}
