/**
 * HTTP/1.1 requests and responses whose errors never end the process, and by which a server makes its callers leave.
 */
import { IncomingMessage, type ServerOptions, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * A request with a permanent listener for its own errors. Node emits "error" on a request whose connection is reset,
 * even after it was answered and its handler has removed its listeners, and an error without a listener ends the
 * process. A reader of the body adds its own listener.
 */
class Http1Request extends IncomingMessage {
  constructor(socket: Socket) {
    super(socket);
    this.on("error", ignore);
  }
}

/** A response with a permanent listener for its own errors, since Node emits "error" on a write after its end. */
class Http1Response<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  readonly #connection: Connection;

  constructor(...options: ConstructorParameters<typeof ServerResponse<Request>>) {
    super(...options);
    this.on("error", ignore);
    this.#connection = this.req.socket;
    if (this.#connection[latestKey] === undefined) addConnection(this.#connection);
    this.#connection[latestKey] = this;
  }

  /**
   * Sends `connection: close` if the server's callers must leave. Of pipelined requests, only the answer to the last
   * one closes the connection (RFC 9112 section 9.6).
   */
  override writeHead(...head: unknown[]): this {
    const { server, [latestKey]: latest } = this.#connection;
    if (latest === this && server !== undefined && leaving.has(server)) this.shouldKeepAlive = false;
    return Reflect.apply(super.writeHead, this, head) as this;
  }
}

/** Options for every HTTP/1.1 server. */
export const http1Messages = {
  IncomingMessage: Http1Request,
  ServerResponse: Http1Response,
} satisfies ServerOptions;

/** Key of a connection's response to its latest request. */
const latestKey = Symbol("latest response");
/** A connection. Node sets its server. */
type Connection = Socket & { readonly server?: object; [latestKey]?: object };

const leaving = new WeakSet<object>();
const connections = new WeakMap<object, Set<Connection>>();

function addConnection(connection: Connection): void {
  const { server } = connection;
  if (server === undefined) return;
  const ofServer = connections.get(server) ?? new Set();
  connections.set(server, ofServer.add(connection));
  connection.once("close", () => ofServer.delete(connection));
}

/**
 * Makes the server's answers over HTTP/1.1 say `connection: close` from now on, so that their connections end with
 * them.
 */
export function leaveHttp1Callers(server: object): void {
  leaving.add(server);
}

/** Returns the number of the server's connections that have sent HTTP/1.1 requests. */
export function countHttp1Connections(server: object): number {
  return connections.get(server)?.size ?? 0;
}

/** Ignores the error, since the socket reports it to the server. */
function ignore(): void {}
