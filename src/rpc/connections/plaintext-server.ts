/**
 * Serves HTTP/1.1 and HTTP/2 without TLS on one port, and distinguishes them by the first bytes (HTTP/2 by prior
 * knowledge, RFC 9113 section 3.3).
 *
 * It is Node's HTTP/1.1 server, whose time limits work only while it listens itself. This one inspects each connection
 * before that server gets it. Connections that begin with HTTP/2's preface go to an HTTP/2 server that does not listen.
 */
import { type RequestListener, Server } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Session,
  type ServerOptions,
} from "node:http2";
import type { Socket } from "node:net";
import type { ListenerLimits } from "../limits.ts";
import { http1Messages } from "./http1-messages.ts";
import { createLastAnswerGuard } from "./last-answer.ts";
import { replaceNodeAnswers } from "./node-answers.ts";
import { toOriginForm } from "./request-target.ts";
import { createSessionReaper } from "./session-reaper.ts";
import { createSharedTimeout, type SharedTimeout } from "./shared-timeout.ts";

/** Limits of the server. */
export type PlaintextLimits = Pick<
  ListenerLimits,
  | "sniffTimeoutMs"
  | "headersTimeoutMs"
  | "requestTimeoutMs"
  | "idleTimeoutMs"
  | "maxHeaderBytes"
  | "maxConcurrentStreams"
  | "answerTimeoutMs"
  | "lingerTimeoutMs"
  | "checkIntervalMs"
>;

/** Classes of HTTP/2 requests and responses that replace Node's own. */
type Http2Options = Pick<ServerOptions, "Http2ServerRequest" | "Http2ServerResponse">;

/** First bytes of an HTTP/2 client, which cannot be an HTTP/1.1 request (RFC 9113 section 3.4). */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Creates a server for both protocols, which does not listen yet. Its `close` stops accepting connections and drops
 * those without a request. Like that of Node's own server, it completes when the running requests have ended. HTTP/2
 * requests reach the handler through Node's compatibility API.
 */
export function createPlaintextServer(
  handler: RequestListener,
  limits: PlaintextLimits,
  http2Options: Http2Options = {},
): Server {
  return new PlaintextServer(handler, limits, http2Options);
}

class PlaintextServer extends Server {
  readonly #http2: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Connections that have not sent enough yet to tell their protocol. */
  readonly #undecided: SharedTimeout<Socket>;

  constructor(serve: RequestListener, limits: PlaintextLimits, http2Options: Http2Options) {
    const serveHttp1: RequestListener = (request, response) => {
      toOriginForm(request);
      serve(request, response);
    };
    const options = {
      ...http1Messages,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      maxHeaderSize: limits.maxHeaderBytes,
      connectionsCheckingInterval: limits.checkIntervalMs,
    };
    super(options, serveHttp1);
    this.#undecided = createSharedTimeout(limits.sniffTimeoutMs, limits.checkIntervalMs, destroy);
    this.#http2 = createHttp2Server({
      ...http2Options,
      settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderBytes },
      // The table would store the dates of 63 answers, 13 KB per connection, without making answers shorter.
      maxDeflateDynamicTableSize: 0,
    });
    // Node's documentation promises that the two protocols' requests are compatible, but its types do not say so.
    this.#http2.on("request", serve as unknown as () => void);
    replaceNodeAnswers(this.#http2, serve);
    replaceNodeAnswers(this, serveHttp1);
    this.#http2.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      this.emit("session", session);
    });
    const reaper = createSessionReaper(this, limits);
    const guardLastAnswer = createLastAnswerGuard(limits);
    const beginHttp1 = this.listeners("connection") as ((socket: Socket) => void)[];
    this.removeAllListeners("connection");
    this.#sniff(
      (socket, bytes) => {
        guardLastAnswer(socket);
        for (const begin of beginHttp1) begin.call(this, socket);
        // Node's listeners get them as all that follows: to put them back into the stream costs more.
        socket.emit("data", bytes);
      },
      (socket, bytes) => {
        socket.pause();
        socket.unshift(bytes);
        // Node's HTTP/1.1 server still answers a client that closed its half of the connection; an HTTP/2 session
        // would never notice.
        socket.allowHalfOpen = false;
        this.#http2.once("session", (session) => reaper.watch(session, socket));
        this.#http2.emit("connection", socket);
      },
    );
  }

  /** Drops connections that have sent nothing yet, and lets HTTP/2 connections end after their current streams. */
  override closeIdleConnections(): void {
    super.closeIdleConnections();
    this.#undecided.forEach(destroy);
    for (const session of this.#sessions) session.close();
  }

  override closeAllConnections(): void {
    super.closeAllConnections();
    this.#undecided.forEach(destroy);
    for (const session of this.#sessions) session.destroy();
  }

  /**
   * Reads the first bytes of each connection, and begins its protocol with them. Destroys a connection that fails, ends
   * or takes too long before that.
   */
  #sniff(beginHttp1: Begin, beginHttp2: Begin): void {
    const undecided = this.#undecided;
    function drop(this: Socket): void {
      this.destroy();
    }
    function forget(this: Sniffed): void {
      undecided.delete(this);
      this[prefixKey] = undefined;
      this.off("data", read).off("end", drop).off("error", drop).off("close", forget);
    }
    function read(this: Sniffed, chunk: Buffer): void {
      const prefix = this[prefixKey];
      const bytes = prefix === undefined ? chunk : Buffer.concat([prefix, chunk]);
      const length = Math.min(bytes.length, preface.length);
      const matches = bytes.compare(preface, 0, length, 0, length) === 0;
      if (matches && length < preface.length) {
        this[prefixKey] = bytes;
        return;
      }
      forget.call(this);
      if (matches) beginHttp2(this, bytes);
      else beginHttp1(this, bytes);
    }
    this.on("connection", (socket: Socket) => {
      undecided.add(socket);
      socket.on("data", read).on("end", drop).on("error", drop).on("close", forget);
    });
  }
}

/** Begins a protocol on a connection, with the first bytes of its client. */
type Begin = (socket: Socket, bytes: Buffer) => void;

/** Key of the bytes with which a connection began, while they are a part of HTTP/2's preface. */
const prefixKey = Symbol("prefix");
type Sniffed = Socket & { [prefixKey]?: Buffer | undefined };

function destroy(socket: Socket): void {
  socket.destroy();
}
