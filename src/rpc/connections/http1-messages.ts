/**
 * HTTP/1.1 requests and responses whose errors never end the process, by which a server makes its callers leave, and
 * which know the answers that a connection still owes.
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
    const responses = this.#connection[responsesKey] ?? addConnection(this.#connection);
    while (responses[0] !== undefined && isOver(responses[0])) responses.shift();
    responses.push(this);
  }

  /**
   * Sends `connection: close` if the server's callers must leave. Of pipelined requests, only the answer to the last
   * one closes the connection (RFC 9112 section 9.6).
   */
  override writeHead(...head: unknown[]): this {
    const { server, [responsesKey]: responses } = this.#connection;
    if (responses?.at(-1) === this && server !== undefined && leaving.has(server)) this.shouldKeepAlive = false;
    return Reflect.apply(super.writeHead, this, head) as this;
  }

  /** Called by Node when the response is sent. An idle connection keeps nothing of its last call. */
  override detachSocket(socket: Socket): void {
    super.detachSocket(socket);
    this.#connection[hasSentItsLastKey] = saysLast(this.req);
    const { [responsesKey]: responses = [] } = this.#connection;
    const place = responses.indexOf(this);
    if (this.req.complete && place !== -1) responses.splice(place, 1);
  }
}

/** Options for every HTTP/1.1 server. */
export const http1Messages = {
  IncomingMessage: Http1Request,
  ServerResponse: Http1Response,
} satisfies ServerOptions;

/**
 * Key of a connection's responses in the order of their requests, without those that are sent. Of a request that has
 * not arrived whole, the response stays until the next request.
 */
const responsesKey = Symbol("responses");
/** Key of whether the client of a connection sends nothing after the last request that has been answered. */
const hasSentItsLastKey = Symbol("has sent its last");
/** A connection. Node sets its server. */
type Connection = Socket & {
  readonly server?: object;
  [responsesKey]?: ServerResponse[] | undefined;
  [hasSentItsLastKey]?: boolean;
};

const leaving = new WeakSet<object>();
/** Number of the connections of each server that have sent requests. */
const counts = new WeakMap<object, { open: number }>();

function addConnection(connection: Connection): ServerResponse[] {
  const responses: ServerResponse[] = [];
  connection[responsesKey] = responses;
  const { server } = connection;
  if (server === undefined) return responses;
  const count = counts.get(server) ?? { open: 0 };
  counts.set(server, count);
  count.open++;
  connection.once("close", () => {
    count.open--;
    connection[responsesKey] = undefined;
  });
  return responses;
}

function isOver(response: ServerResponse): boolean {
  return response.writableFinished || response.destroyed;
}

/**
 * Calls `then`, perhaps at once, when a connection owes no more answers to requests that arrived whole. `then` learns
 * whether the answer to a request that never arrived whole had begun.
 */
export function afterOwedAnswers(connection: Connection, then: (isIncompleteAnswered: boolean) => void): void {
  const responses = connection[responsesKey] ?? [];
  const last = responses.findLast((response) => response.req.complete && !isOver(response));
  const settle = () => then(responses.some(({ req, headersSent }) => !req.complete && headersSent));
  if (last === undefined) settle();
  else last.once("close", settle);
}

/**
 * Whether the client of a connection sends nothing after its last request, which has arrived whole and is answered.
 */
export function hasSentItsLast(connection: Connection): boolean {
  return connection[hasSentItsLastKey] === true;
}

/** Whether a request has arrived whole and is the last one of its client (RFC 9112 sections 9.3 and 9.6). */
function saysLast({ complete, headers: { connection = "" }, httpVersion }: IncomingMessage): boolean {
  const options = connection.toLowerCase().split(/[ \t]*,[ \t]*/);
  return complete && (options.includes("close") || (httpVersion === "1.0" && !options.includes("keep-alive")));
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
  return counts.get(server)?.open ?? 0;
}

/** Ignores the error, since the socket reports it to the server. */
function ignore(): void {}
