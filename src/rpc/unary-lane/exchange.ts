/** A request and its answer as a call sees them, over either version of HTTP, in bounded time. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { ConnectError } from "@connectrpc/connect";
import { type Linked, LinkedList } from "../../base/linked-list.ts";
import type { CallConnection } from "../calls/raw-call.ts";
import type { ListenerLimits } from "../limits.ts";
import { BodyPieces, bodyTooLarge, bodyTooLate } from "../wire/request-body.ts";

/** One form of a unary call in HTTP. */
export interface CallKind {
  /** Name of the protocol in HandlerContext. */
  readonly protocol: "connect" | "grpc" | "grpc-web";
  /** Whether the message is in protobuf's binary form, and not in JSON. */
  readonly isBinary: boolean;
  /** Whether the request, or the answer, is in base64, for user agents that cannot read bytes (PROTOCOL-WEB). */
  readonly isTextRequest: boolean;
  readonly isTextAnswer: boolean;
  /** Content type of the answer. */
  readonly contentType: string;
  /** Headers of the answer before its handler adds any. */
  readonly header: { readonly "content-type": string };
}

/** The answer to a call. */
export interface UnaryAnswer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array | undefined;
  /** HTTP trailers, which gRPC uses. */
  readonly trailers?: OutgoingHttpHeaders | undefined;
}

/** Events of an exchange: either `onBody` or `onBodyFailure` once, and `onGone` at any time before the answer. */
export interface ExchangeEvents {
  onBody(body: Uint8Array<ArrayBuffer>): void;
  /** Called when the body is too large or too late. */
  onBodyFailure(error: ConnectError): void;
  /** Called when the caller has left and gets no answer. `reason` is the reason for aborting the call's signal. */
  onGone(reason: unknown): void;
}

/** Limits of an exchange. */
export interface ExchangeBounds {
  readonly limits: Pick<ListenerLimits, "maxBodyBytes">;
  readonly timeouts: ExchangeTimeouts;
}

/** One request and its answer. */
export abstract class Exchange implements TimedExchange {
  readonly kind: CallKind;
  previous: TimedExchange | undefined = undefined;
  next: TimedExchange | undefined = undefined;
  beganAt: number | undefined = undefined;
  protected isAnswered = false;
  #events: ExchangeEvents | undefined = undefined;
  #bounds: ExchangeBounds | undefined = undefined;
  /** Pieces of the body while it is read. */
  #pieces: BodyPieces | undefined = undefined;

  constructor(kind: CallKind) {
    this.kind = kind;
  }

  /** Path and query as sent. */
  abstract get url(): string;
  abstract get headers(): IncomingHttpHeaders;
  abstract get authority(): string | undefined;
  /** Undefined if it is closed already. */
  abstract get connection(): CallConnection | undefined;

  /** Makes `close` be called at the end of the exchange. */
  protected abstract listenForEnd(): void;
  protected abstract listenForBody(): void;
  protected abstract pause(): void;
  /** Reason why the exchange closed before its answer. */
  protected abstract get goneBecause(): unknown;

  /**
   * Sends the answer if the caller is still there, even if the body has not been read. Throws if HTTP cannot carry the
   * answer.
   */
  abstract answer(answer: UnaryAnswer): void;
  /** Ends the exchange without an answer. */
  abstract destroy(): void;

  /** Reports the events of the exchange from now on, and bounds its time. */
  open(events: ExchangeEvents, bounds: ExchangeBounds): void {
    this.#events = events;
    this.#bounds = bounds;
    bounds.timeouts.add(this);
    this.listenForEnd();
  }

  /** Starts reading the body. */
  read({ limits }: ExchangeBounds): void {
    this.#pieces = new BodyPieces(limits.maxBodyBytes);
    this.listenForBody();
  }

  get isReading(): boolean {
    return this.#pieces !== undefined;
  }

  /** Called with each piece of the body. */
  take(piece: Uint8Array): void {
    if (this.#pieces === undefined || this.#pieces.add(piece)) return;
    this.#giveUpBody(bodyTooLarge(this.#bounds?.limits.maxBodyBytes ?? 0));
  }

  /** Called when the body is complete. */
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

  /** Called when the exchange has closed. */
  close(): void {
    this.#pieces = undefined;
    this.#bounds?.timeouts.delete(this);
    if (!this.isAnswered) this.#events?.onGone(this.goneBecause);
    this.#events = undefined;
  }
}

/** An exchange with bounded time. Only `ExchangeTimeouts` changes its neighbours and `beganAt`. */
export interface TimedExchange extends Linked<TimedExchange> {
  /** Number of the timer's check at which the exchange began; undefined while it is not in the list. */
  beganAt: number | undefined;
  /** Whether the body is still being read. */
  readonly isReading: boolean;
  /** Stops reading the body. */
  expireBody(): void;
  /** Ends the exchange. */
  destroy(): void;
}

/**
 * Ends exchanges whose body or answer takes too long, with one timer for all of them, and only a few pointers for each.
 */
export class ExchangeTimeouts {
  readonly #checkIntervalMs: number;
  readonly #bodyChecks: number;
  readonly #answerChecks: number;
  /** From the oldest to the newest. */
  readonly #exchanges = new LinkedList<TimedExchange>();
  #checks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: Pick<ListenerLimits, "bodyTimeoutMs" | "answerTimeoutMs" | "checkIntervalMs">) {
    const { bodyTimeoutMs, answerTimeoutMs, checkIntervalMs } = limits;
    this.#checkIntervalMs = checkIntervalMs;
    // The first check may follow immediately.
    this.#bodyChecks = Math.ceil(bodyTimeoutMs / checkIntervalMs) + 1;
    this.#answerChecks = Math.ceil(answerTimeoutMs / checkIntervalMs) + 1;
  }

  /** Starts the time of an exchange. Exchanges do not keep the process alive. */
  add(exchange: TimedExchange): void {
    exchange.beganAt = this.#checks;
    this.#exchanges.append(exchange);
    this.#timer ??= setInterval(() => this.#check(), this.#checkIntervalMs).unref();
  }

  /** Removes an exchange that has ended. */
  delete(exchange: TimedExchange): void {
    if (exchange.beganAt === undefined) return;
    this.#exchanges.remove(exchange);
    exchange.beganAt = undefined;
  }

  #check(): void {
    this.#checks++;
    for (let exchange = this.#exchanges.first; exchange !== undefined; ) {
      const age = this.#checks - (exchange.beganAt ?? this.#checks);
      if (age < this.#bodyChecks && age < this.#answerChecks) return;
      // Either call may remove the exchange from the list.
      const { next } = exchange;
      if (age >= this.#answerChecks) exchange.destroy();
      else if (exchange.isReading) exchange.expireBody();
      exchange = next;
    }
    if (this.#exchanges.first !== undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
