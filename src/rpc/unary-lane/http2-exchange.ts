/** An exchange over HTTP/2, on the stream itself: Node's compatibility API would make two more streams of it. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { type CallConnection, findHttp2Connection } from "../raw-call.ts";
import { BodyPieces, bodyTooLarge, bodyTooLate } from "../request-body.ts";
import { sendByHttp2 } from "../send-answer.ts";
import type { SharedTimeout } from "../shared-timeout.ts";
import type { CallKind } from "./call-kind.ts";
import { abortedByReset } from "./caller-gone.ts";
import type { BodyBounds, Exchange, ExchangeEvents, UnaryAnswer } from "./exchange.ts";

/** Finds the exchange in the listeners, which all exchanges share. */
const exchangeKey = Symbol("exchange");
type Stream = ServerHttp2Stream & { [exchangeKey]?: Http2Exchange };

const withTrailers = { waitForTrailers: true };

/** See `Exchange`. It has what Fastify's router and hooks ask of a request and of a response, too, and stands for both. */
export class Http2Exchange implements Exchange {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly kind: CallKind;
  readonly httpVersion = "2.0";
  readonly httpVersionMajor = 2;
  #events: ExchangeEvents | undefined;
  #pieces: BodyPieces | undefined;
  #maxBodyBytes = 0;
  #timeout: SharedTimeout<Exchange> | undefined;
  #trailers: OutgoingHttpHeaders = {};
  #answerTimeout: SharedTimeout<{ destroy(): unknown }> | undefined;
  #isRead = false;
  #isAnswered = false;

  constructor(stream: Stream, headers: IncomingHttpHeaders, kind: CallKind) {
    this.stream = stream;
    this.headers = headers;
    this.kind = kind;
    stream[exchangeKey] = this;
    stream.on("error", ignore).on("close", onClose);
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

  read(events: ExchangeEvents, { limits, timeout }: BodyBounds): void {
    this.#events = events;
    this.#maxBodyBytes = limits.maxBodyBytes;
    this.#pieces = new BodyPieces(limits.maxBodyBytes);
    this.#timeout = timeout;
    timeout.add(this);
    this.stream.on("data", onData).on("end", onEnd);
  }

  /** Takes a piece of the body. */
  take(piece: Uint8Array): void {
    if (this.#pieces === undefined || this.#pieces.add(piece)) return;
    this.stream.pause();
    this.#stopReading();
    this.#events?.onBodyFailure(bodyTooLarge(this.#maxBodyBytes));
  }

  /** The body is whole, unless the stream was reset: then it ends as well, and closes at once. */
  end(): void {
    const pieces = this.#pieces;
    if (pieces === undefined || this.stream.closed) return;
    this.#isRead = true;
    this.#stopReading();
    this.#events?.onBody(pieces.join());
  }

  expireBody(): void {
    this.stream.pause();
    this.#stopReading();
    this.#events?.onBodyFailure(bodyTooLate());
  }

  /** Has the exchange destroyed unless it is over in time. */
  expireBy(timeout: SharedTimeout<{ destroy(): unknown }>): void {
    this.#answerTimeout = timeout;
    timeout.add(this);
  }

  /** The stream is gone. */
  close(): void {
    this.#stopReading();
    this.#answerTimeout?.delete(this);
    if (!this.#isAnswered) this.#events?.onGone(abortedByReset(this.stream.rstCode));
    this.#events = undefined;
  }

  #stopReading(): void {
    this.#pieces = undefined;
    this.#timeout?.delete(this);
  }

  answer(answer: UnaryAnswer): void {
    const { stream } = this;
    if (answer.trailers === undefined) {
      sendByHttp2(stream, answer, { isHead: false, isRead: this.#isRead });
    } else if (!stream.closed && !stream.destroyed) {
      stream.respond({ ":status": answer.status, ...answer.headers }, withTrailers);
      this.#trailers = answer.trailers;
      stream.on("wantTrailers", sendTrailers);
      stream.end(answer.body);
    }
    this.#isAnswered = true;
  }

  /** Sends the answer's trailers, for which the stream asks behind its body. */
  sendTrailers(): void {
    this.stream.sendTrailers(this.#trailers);
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

/** The exchange on a stream, if there is one. */
export function findExchange(stream: Stream): Http2Exchange | undefined {
  return stream[exchangeKey];
}

/** An exchange on a stream that Node's compatibility API has already; nobody else may use its request and response then. */
export function takeOverStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, kind: CallKind): Http2Exchange {
  // The compatibility API would send trailers of its own.
  stream.removeAllListeners("wantTrailers");
  return new Http2Exchange(stream, headers, kind);
}

function onData(this: Stream, piece: Uint8Array): void {
  this[exchangeKey]?.take(piece);
}

function onEnd(this: Stream): void {
  this[exchangeKey]?.end();
}

function onClose(this: Stream): void {
  this[exchangeKey]?.close();
}

function sendTrailers(this: Stream): void {
  this[exchangeKey]?.sendTrailers();
}

/** A stream that fails closes as well. */
function ignore(): void {}
