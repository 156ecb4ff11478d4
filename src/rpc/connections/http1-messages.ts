/** Requests and responses of HTTP/1.1 whose errors end nothing but themselves, and by which a server leaves its callers. */
import { IncomingMessage, type ServerOptions, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * A request that listens for its own errors for its whole life. Node emits "error" on a request whose connection is reset, also when
 * its answer is out and whoever served it has taken his listeners off, and an error that nobody listens for ends the process. Whoever
 * reads the body listens as well.
 */
class Http1Request extends IncomingMessage {
  constructor(socket: Socket) {
    super(socket);
    this.on("error", ignore);
  }
}

/** A response that does the same: Node emits "error" on one that is written to when it has ended. */
class Http1Response<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  readonly #connection: Connection;

  constructor(...options: ConstructorParameters<typeof ServerResponse<Request>>) {
    super(...options);
    this.on("error", ignore);
    this.#connection = this.req.socket;
    if (this.#connection[latestKey] === undefined) addConnection(this.#connection);
    this.#connection[latestKey] = this;
  }

  /** Of requests that came one behind the other, the last one's answer ends the connection (RFC 9112 section 9.6). */
  override writeHead(...head: unknown[]): this {
    const { server, [latestKey]: latest } = this.#connection;
    if (latest === this && server !== undefined && leaving.has(server)) this.shouldKeepAlive = false;
    return Reflect.apply(super.writeHead, this, head) as this;
  }
}

/** Options of any server of HTTP/1.1. */
export const http1Messages = {
  IncomingMessage: Http1Request,
  ServerResponse: Http1Response,
} satisfies ServerOptions;

/** The response to the latest request of a connection. */
const latestKey = Symbol("latest response");
/** Node says which server a connection is of. */
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

/** From now on the server's answers over HTTP/1.1 say `connection: close`, and their connections end with them. */
export function leaveHttp1Callers(server: object): void {
  leaving.add(server);
}

/** How many connections the server has over which requests of HTTP/1.1 came. */
export function countHttp1Connections(server: object): number {
  return connections.get(server)?.size ?? 0;
}

/** The socket's own error, of which its server is told. */
function ignore(): void {}
