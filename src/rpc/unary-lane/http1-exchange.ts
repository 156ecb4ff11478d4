/** An exchange over HTTP/1.1. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { type CallConnection, findHttp1Connection } from "../calls/raw-call.ts";
import { sendByHttp1 } from "../wire/send-answer.ts";
import { type ReadyAnswer, sendAtTurnEnd } from "./answer-burst.ts";
import { abortedByCaller } from "./caller-gone.ts";
import { type CallKind, Exchange, type UnaryAnswer } from "./exchange.ts";

/** Key under which the listeners, which all exchanges share, find the exchange. */
const exchangeKey = Symbol("exchange");
type Request = IncomingMessage & { [exchangeKey]?: Http1Exchange };
type Response = ServerResponse & { [exchangeKey]?: Http1Exchange };

/** An exchange over HTTP/1.1. */
export class Http1Exchange extends Exchange implements ReadyAnswer {
  readonly #request: Request;
  readonly #response: Response;
  readonly #lingerTimeoutMs: number;
  /** Body of an answer whose head has been written. */
  #body: Uint8Array | undefined = undefined;

  constructor(request: IncomingMessage, response: ServerResponse, kind: CallKind, lingerTimeoutMs: number) {
    super(kind);
    this.#request = request;
    this.#response = response;
    this.#lingerTimeoutMs = lingerTimeoutMs;
  }

  get url(): string {
    return this.#request.url ?? "/";
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }

  get authority(): string | undefined {
    return this.#request.headers.host;
  }

  get connection(): CallConnection | undefined {
    return findHttp1Connection(this.#request);
  }

  protected listenForEnd(): void {
    this.#response[exchangeKey] = this;
    this.#response.on("close", onClose);
  }

  protected listenForBody(): void {
    this.#request[exchangeKey] = this;
    this.#request.on("data", onData).on("end", onEnd);
  }

  protected pause(): void {
    this.#request.pause();
  }

  protected get goneBecause(): unknown {
    return abortedByCaller();
  }

  answer({ status, headers, body }: UnaryAnswer): void {
    const response = this.#response;
    if (this.#request.complete && !response.destroyed) {
      response.writeHead(status, headers);
      this.#body = body;
      sendAtTurnEnd(this);
    } else {
      sendByHttp1(this.#request, response, { status, headers, body }, this.#lingerTimeoutMs);
    }
    this.isAnswered = true;
  }

  send(): void {
    const body = this.#body;
    if (body === undefined || body.length > longestInOnePiece) this.#response.end(body);
    else this.#response.end(toLatin1(body), "latin1");
  }

  destroy(): void {
    this.#response.destroy();
  }
}

/**
 * Longest body that is sent as a string, in bytes. Node writes head and body in one piece only for a string; two pieces
 * cost the system nearly twice as much.
 */
const longestInOnePiece = 16_384;

function toLatin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}

function onData(this: Request, piece: Uint8Array): void {
  this[exchangeKey]?.take(piece);
}

function onEnd(this: Request): void {
  this[exchangeKey]?.end();
}

function onClose(this: Response): void {
  this[exchangeKey]?.close();
}
