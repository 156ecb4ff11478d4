/**
 * An exchange over HTTP/2. It uses the stream itself, since Node's compatibility API would create two more streams for
 * it.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { type CallConnection, findHttp2Connection } from "../calls/raw-call.ts";
import { sendByHttp2 } from "../wire/send-answer.ts";
import { abortedByReset } from "./caller-gone.ts";
import { type CallKind, Exchange, type UnaryAnswer } from "./exchange.ts";

/** Key under which the listeners, which all exchanges share, find the exchange. */
const exchangeKey = Symbol("exchange");
type Stream = ServerHttp2Stream & { [exchangeKey]?: Http2Exchange | undefined };

const withTrailers = { waitForTrailers: true };

/**
 * An exchange over HTTP/2. It also has the members of a request and of a response that Fastify's router and hooks use,
 * and stands for both.
 */
export class Http2Exchange extends Exchange {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly httpVersion = "2.0";
  readonly httpVersionMajor = 2;
  #trailers: OutgoingHttpHeaders | undefined = undefined;
  #isRead = false;

  constructor(stream: Stream, headers: IncomingHttpHeaders, kind: CallKind) {
    super(kind);
    this.stream = stream;
    this.headers = headers;
    stream[exchangeKey] = this;
    stream.on("error", ignore);
  }

  get method(): string {
    return String(this.headers[":method"]);
  }

  get url(): string {
    return String(this.headers[":path"]);
  }

  get authority(): string | undefined {
    const authority = this.headers[":authority"] ?? this.headers.host;
    return typeof authority === "string" ? authority : undefined;
  }

  get connection(): CallConnection | undefined {
    return findHttp2Connection(this.stream);
  }

  get socket(): ServerHttp2Session["socket"] | undefined {
    return this.stream.session?.socket;
  }

  /** Whether the body has been read to its end. */
  get complete(): boolean {
    return this.#isRead;
  }

  get writableEnded(): boolean {
    return this.stream.writableEnded;
  }

  protected listenForEnd(): void {
    this.stream.on("close", onClose);
  }

  protected listenForBody(): void {
    this.stream.on("data", onData).on("end", onEnd);
  }

  protected pause(): void {
    this.stream.pause();
  }

  protected get goneBecause(): unknown {
    return abortedByReset(this.stream.rstCode);
  }

  override end(): void {
    // A stream that was reset also emits "end", but is closed by then.
    if (this.stream.closed) return;
    this.#isRead = true;
    super.end();
  }

  answer(answer: UnaryAnswer): void {
    const { stream } = this;
    if (answer.trailers === undefined) {
      sendByHttp2(stream, answer, { isHead: false, isRead: this.#isRead });
    } else if (!stream.closed && !stream.destroyed) {
      // Node copies the headers, and adds status 200.
      stream.respond(answer.headers, withTrailers);
      this.#trailers = answer.trailers;
      stream.on("wantTrailers", sendTrailers);
      stream.end(answer.body);
    }
    this.isAnswered = true;
  }

  /** Sends the answer's trailers, which the stream requests after its body. */
  sendTrailers(): void {
    if (this.#trailers === undefined) return;
    try {
      this.stream.sendTrailers(this.#trailers);
    } catch {
      // Node checks only now whether HTTP can carry them.
      this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  }

  destroy(): void {
    this.stream.destroy();
  }

  on(event: string, listener: Listener): this {
    this.stream.on(event, listener);
    return this;
  }

  once(event: string, listener: Listener): this {
    this.stream.once(event, listener);
    return this;
  }

  removeListener(event: string, listener: Listener): this {
    this.stream.removeListener(event, listener);
    return this;
  }
}

type Listener = (...values: unknown[]) => void;

/** Returns the exchange on a stream, if there is one. */
export function findExchange(stream: Stream): Http2Exchange | undefined {
  return stream[exchangeKey];
}

function onData(this: Stream, piece: Uint8Array): void {
  this[exchangeKey]?.take(piece);
}

function onEnd(this: Stream): void {
  this[exchangeKey]?.end();
}

/**
 * Ends the exchange. The stream forgets it, since a closed stream survives scavenges: V8 creates a function that is
 * assigned to a property in the old generation, and each stream of Node has one that refers to it (WritableState in
 * Node's lib/internal/streams/writable.js). Whatever the stream refers to would stay until the next major collection.
 */
function onClose(this: Stream): void {
  this[exchangeKey]?.close();
  this[exchangeKey] = undefined;
}

function sendTrailers(this: Stream): void {
  this[exchangeKey]?.sendTrailers();
}

/** Ignores the error, since a failed stream also closes. */
function ignore(): void {}
