/** A request and its answer as a call sees them, whichever version of HTTP carries them. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { ConnectError } from "@connectrpc/connect";
import type { CallConnection } from "../calls/raw-call.ts";
import type { ListenerLimits } from "../limits.ts";
import { BodyPieces, bodyTooLarge, bodyTooLate } from "../wire/request-body.ts";
import type { CallKind } from "./call-kind.ts";
import type { ExchangeTimeouts, TimedExchange } from "./exchange-timeouts.ts";

/** The answer to a call. */
export interface UnaryAnswer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array | undefined;
  /** HTTP's own trailers, which gRPC has. */
  readonly trailers?: OutgoingHttpHeaders | undefined;
}

/** What happens on an exchange; `onBody` or `onBodyFailure` once, `onGone` at any time before the answer. */
export interface ExchangeEvents {
  onBody(body: Uint8Array<ArrayBuffer>): void;
  /** The body is too large, or too late. */
  onBodyFailure(error: ConnectError): void;
  /** The caller has gone and will have no answer; `reason` is what a signal is aborted with. */
  onGone(reason: unknown): void;
}

/** Bounds of an exchange. */
export interface ExchangeBounds {
  readonly limits: Pick<ListenerLimits, "maxBodyBytes">;
  readonly timeouts: ExchangeTimeouts;
}

/** One request and its answer. */
export abstract class Exchange implements TimedExchange {
  readonly kind: CallKind;
  older: TimedExchange | undefined = undefined;
  newer: TimedExchange | undefined = undefined;
  beganAt: number | undefined = undefined;
  protected isAnswered = false;
  #events: ExchangeEvents | undefined = undefined;
  #bounds: ExchangeBounds | undefined = undefined;
  /** While the body is read. */
  #pieces: BodyPieces | undefined = undefined;

  constructor(kind: CallKind) {
    this.kind = kind;
  }

  /** Path and query, as sent. */
  abstract get url(): string;
  abstract get headers(): IncomingHttpHeaders;
  abstract get authority(): string | undefined;
  /** Undefined when it is gone already. */
  abstract get connection(): CallConnection | undefined;

  /** Has `take`, `end` and `close` called. */
  protected abstract listenForEnd(): void;
  protected abstract listenForBody(): void;
  protected abstract pause(): void;
  /** Why the exchange has closed before its answer. */
  protected abstract get goneBecause(): unknown;

  /** Sends the answer, if the caller is still there; an unread body is no obstacle. Throws when it holds what HTTP cannot carry. */
  abstract answer(answer: UnaryAnswer): void;
  /** Ends the exchange without an answer. */
  abstract destroy(): void;

  /** Tells what becomes of the exchange from now on, and bounds it. */
  open(events: ExchangeEvents, bounds: ExchangeBounds): void {
    this.#events = events;
    this.#bounds = bounds;
    bounds.timeouts.add(this);
    this.listenForEnd();
  }

  /** Reads the body. */
  read({ limits }: ExchangeBounds): void {
    this.#pieces = new BodyPieces(limits.maxBodyBytes);
    this.listenForBody();
  }

  get isReading(): boolean {
    return this.#pieces !== undefined;
  }

  /** Takes a piece of the body. */
  take(piece: Uint8Array): void {
    if (this.#pieces === undefined || this.#pieces.add(piece)) return;
    this.#giveUpBody(bodyTooLarge(this.#bounds?.limits.maxBodyBytes ?? 0));
  }

  /** The body is whole. */
  end(): void {
    const pieces = this.#pieces;
    if (pieces === undefined) return;
    this.#pieces = undefined;
    this.#events?.onBody(pieces.join());
  }

  expireBody(): void {
    this.#giveUpBody(bodyTooLate());
  }

  #giveUpBody(error: ConnectError): void {
    this.pause();
    this.#pieces = undefined;
    this.#events?.onBodyFailure(error);
  }

  /** The connection is done with the exchange. */
  close(): void {
    this.#pieces = undefined;
    this.#bounds?.timeouts.delete(this);
    if (!this.isAnswered) this.#events?.onGone(this.goneBecause);
    this.#events = undefined;
  }
}
