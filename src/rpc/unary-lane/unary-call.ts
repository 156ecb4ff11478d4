/**
 * Serves one call from its headers to its answer: authenticates, reads, decodes, handles, answers and records it, each
 * once.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { nameCode, okCode } from "../calls/call-record.ts";
import {
  type CallConnection,
  type CallerDeadline,
  callerTimeoutKey,
  type RawCall,
  readCallerDeadline,
} from "../calls/raw-call.ts";
import { assertBodyFits } from "../wire/request-body.ts";
import { CallSignal, CallValues } from "./context-parts.ts";
import type { Exchange, ExchangeEvents } from "./exchange.ts";
import {
  type AnyMessage,
  type CallContext,
  createCallContext,
  type ErrorMap,
  invokeHandler,
  isPromise,
} from "./invoke-handler.ts";
import type { Lane, LaneMethod } from "./lane.ts";
import {
  assertProtocolVersion,
  createMetadata,
  encodeError,
  encodeMessage,
  type Metadata,
  readRequest,
} from "./messages.ts";

/** Serves the call of an exchange. Returns at once, and handles every error itself. */
export function serveCall(lane: Lane, method: LaneMethod, exchange: Exchange): void {
  new UnaryCall(lane, method, exchange).begin();
}

/** Second part of authentication, once the body has been read. */
type Authenticated = (call: RawCall) => Promise<void> | void;

class UnaryCall implements ExchangeEvents, ErrorMap {
  readonly #lane: Lane;
  readonly #method: LaneMethod;
  readonly #exchange: Exchange;
  readonly #beganAtMs = performance.now();
  readonly #values = new CallValues();
  #connection: CallConnection | undefined;
  #url = "";
  #deadline: CallerDeadline = {};
  #authenticated: Authenticated | undefined;
  /** Set when the body is decoded. */
  #signal: CallSignal | undefined;
  #context: CallContext | undefined;
  #isOver = false;

  constructor(lane: Lane, method: LaneMethod, exchange: Exchange) {
    this.#lane = lane;
    this.#method = method;
    this.#exchange = exchange;
  }

  begin(): void {
    const lane = this.#lane;
    const exchange = this.#exchange;
    const { connection } = exchange;
    exchange.open(this, lane);
    if (connection === undefined) {
      this.#end(nameCode(Code.Canceled), undefined);
      return;
    }
    try {
      this.#connection = connection;
      this.#url = connection.getUrl(exchange.authority, exchange.url);
      this.#deadline = readCallerDeadline(exchange.kind.protocol, exchange.headers, lane.maxTimeoutMs);
      this.#values.set(callerTimeoutKey, this.#deadline.timeoutMs);
      this.#authenticated = lane.authenticate?.(connection, this.#values);
      assertBodyFits(exchange.headers["content-length"], lane.limits);
    } catch (error) {
      this.#fail(lane.toConnectError(error));
      return;
    }
    exchange.read(lane);
  }

  onBody(body: Uint8Array<ArrayBuffer>): void {
    try {
      const pending = this.#finishAuthentication(body);
      if (pending === undefined) this.#handle(body);
      else this.#handleAfter(pending, body);
    } catch (error) {
      this.#fail(this.#lane.toConnectError(error));
    }
  }

  #finishAuthentication(body: Uint8Array): Promise<void> | void {
    if (this.#authenticated === undefined || this.#connection === undefined) return undefined;
    const { scheme, remoteAddress } = this.#connection;
    const { url, headers, authority = "" } = this.#exchange;
    const queryAt = url.indexOf("?");
    const path = queryAt === -1 ? url : url.slice(0, queryAt);
    return this.#authenticated({ method: "POST", scheme, authority, path, headers, body, remoteAddress });
  }

  #handleAfter(pending: Promise<void>, body: Uint8Array<ArrayBuffer>): void {
    pending.then(
      () => this.#handle(body),
      (error: unknown) => this.#fail(this.#lane.toConnectError(error)),
    );
  }

  /** Decodes and handles the request. Never throws. */
  #handle(body: Uint8Array<ArrayBuffer>): void {
    if (this.#isOver) return;
    const method = this.#method;
    const lane = this.#lane;
    try {
      assertProtocolVersion(this.#exchange, lane);
      const signal = new CallSignal(this.#getLeftMs());
      const request = readRequest(this.#exchange.kind, body, method, lane);
      const context = createCallContext(method, this.#exchange, this.#url, this.#values, signal);
      this.#signal = signal;
      this.#context = context;
      const message = invokeHandler(method.spec, context, request, lane.interceptors, this);
      if (isPromise(message)) this.#answerAfter(message, context);
      else this.#answer(message, context);
    } catch (error) {
      this.#failBy(error);
    }
  }

  #answerAfter(pending: Promise<AnyMessage>, context: CallContext): void {
    pending.then(
      (message) => this.#answer(message, context),
      (error: unknown) => this.#failBy(error),
    );
  }

  /** Returns the time left until the caller's deadline, which counts from the request's headers. */
  #getLeftMs(): number | undefined {
    const { timeoutMs, error } = this.#deadline;
    if (error !== undefined) throw error;
    return timeoutMs === undefined ? undefined : timeoutMs - (performance.now() - this.#beganAtMs);
  }

  #answer(message: AnyMessage, context: CallContext): void {
    if (this.#isOver) return;
    const { kind } = this.#exchange;
    try {
      const bytes = this.#method.serialization.getO(kind.isBinary).serialize(message);
      this.#exchange.answer(encodeMessage(kind, bytes, context));
      this.#end(okCode, undefined);
    } catch (error) {
      this.#failBy(error);
    }
  }

  #failBy(error: unknown): void {
    this.#fail(this.mapError(error));
  }

  /** Maps an error for the caller. A caller that left, or whose deadline passed, is not a failure of the server. */
  mapError(error: unknown): ConnectError {
    const isCallersEnd = this.#signal?.isAbortedWith(error) === true;
    return isCallersEnd ? ConnectError.from(error, Code.Canceled) : this.#lane.toConnectError(error);
  }

  #fail(error: ConnectError): void {
    if (this.#isOver) return;
    try {
      this.#sendError(error, this.#context ?? createMetadata(this.#exchange.kind));
      this.#end(nameCode(error.code), error);
    } catch (problem) {
      this.#failAgain(problem);
    }
  }

  /** Answers again after a first answer failed because HTTP could not carry the error or its metadata. */
  #failAgain(problem: unknown): void {
    const error = this.#lane.toConnectError(problem);
    try {
      this.#sendError(error, createMetadata(this.#exchange.kind));
    } catch {
      this.#exchange.destroy();
    }
    this.#end(nameCode(error.code), error);
  }

  #sendError(error: ConnectError, metadata: Metadata): void {
    const { kind } = this.#exchange;
    this.#exchange.answer(encodeError(kind, error, metadata, this.#lane.jsonOptions));
  }

  onBodyFailure(error: ConnectError): void {
    this.#fail(error);
  }

  onGone(reason: unknown): void {
    if (!this.#isOver) this.#end(nameCode(Code.Canceled), reason);
  }

  #end(code: string, reason: unknown): void {
    this.#isOver = true;
    this.#signal?.end(reason);
    const { onCall } = this.#lane;
    if (onCall === undefined) return;
    const { method } = this.#method.spec;
    const { kind, headers } = this.#exchange;
    const durationMs = performance.now() - this.#beganAtMs;
    onCall({ method, protocol: kind.protocol, code, durationMs, headers, values: this.#values });
  }
}
