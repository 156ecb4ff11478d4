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
  readonly #undecided = new Set<Socket>();
  readonly #sniffTimeoutMs: number;

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
    this.#sniffTimeoutMs = limits.sniffTimeoutMs;
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
    this.on("connection", (socket: Socket) => {
      this.#sniff(socket, (isHttp2) => {
        if (isHttp2) {
          // Node's HTTP/1.1 server still answers a client that closed its half of the connection; an HTTP/2 session
          // would never notice.
          socket.allowHalfOpen = false;
          this.#http2.once("session", (session) => reaper.watch(session, socket));
          this.#http2.emit("connection", socket);
          return;
        }
        guardLastAnswer(socket);
        for (const begin of beginHttp1) begin.call(this, socket);
        socket.resume();
      });
    });
  }

  /** Drops connections that have sent nothing yet, and lets HTTP/2 connections end after their current streams. */
  override closeIdleConnections(): void {
    super.closeIdleConnections();
    for (const socket of this.#undecided) socket.destroy();
    for (const session of this.#sessions) session.close();
  }

  override closeAllConnections(): void {
    super.closeAllConnections();
    for (const socket of this.#undecided) socket.destroy();
    for (const session of this.#sessions) session.destroy();
  }

  /**
   * Reads the first bytes of a connection and puts them back, then calls `decided` once. Destroys the socket if it
   * fails, ends or takes too long before that.
   */
  #sniff(socket: Socket, decided: (isHttp2: boolean) => void): void {
    let received: Buffer = Buffer.alloc(0);
    const drop = () => socket.destroy();
    const timer = setTimeout(drop, this.#sniffTimeoutMs);
    const forget = () => {
      clearTimeout(timer);
      this.#undecided.delete(socket);
      socket.off("data", onData).off("end", drop).off("error", drop).off("close", forget);
    };
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const length = Math.min(received.length, preface.length);
      const matches = received.compare(preface, 0, length, 0, length) === 0;
      if (matches && length < preface.length) return;
      forget();
      socket.pause();
      socket.unshift(received);
      decided(matches);
    };
    this.#undecided.add(socket);
    socket.on("data", onData).on("end", drop).on("error", drop).on("close", forget);
  }
}
