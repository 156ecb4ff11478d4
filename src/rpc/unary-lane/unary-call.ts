/** One call, from its headers to its answer: authenticated, read, decoded, handled, answered and told of, each once. */
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { nameCode, okCode } from "../call-record.ts";
import { dropDistantDeadline } from "../distant-deadline.ts";
import type { CallConnection, RawCall } from "../raw-call.ts";
import { assertBodyFits } from "../request-body.ts";
import { createMetadata, encodeError, encodeMessage, type Metadata } from "./answers.ts";
import { assertProtocolVersion, type CallContext, createCallContext, readTimeout } from "./call-context.ts";
import { CallSignal } from "./call-signal.ts";
import { CallValues } from "./call-values.ts";
import type { Exchange, ExchangeEvents } from "./exchange.ts";
import { invokeHandler } from "./invoke-handler.ts";
import type { Lane, LaneMethod } from "./lane.ts";
import { readRequest } from "./read-request.ts";

/** Serves the call that an exchange carries; nothing is left to do for the caller of this. */
export function serveCall(lane: Lane, method: LaneMethod, exchange: Exchange): void {
  new UnaryCall(lane, method, exchange).begin();
}

/** What is left of authentication once the body is there. */
type Authenticated = (call: RawCall) => Promise<void> | void;

class UnaryCall implements ExchangeEvents {
  readonly #lane: Lane;
  readonly #method: LaneMethod;
  readonly #exchange: Exchange;
  readonly #beganAtMs = performance.now();
  readonly #values = new CallValues();
  #connection: CallConnection | undefined;
  #url = "";
  #authenticated: Authenticated | undefined;
  /** From decoding on. */
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
      dropDistantDeadline(exchange.headers, lane.maxTimeoutMs);
      this.#authenticated = lane.authenticate?.(connection, this.#values);
      assertBodyFits(exchange.headers["content-length"], lane.limits);
    } catch (error) {
      this.#fail(lane.toConnectError(error));
      return;
    }
    exchange.read(lane);
  }

  onBody(body: Uint8Array<ArrayBuffer>): void {
    const pending = this.#finishAuthentication(body);
    if (pending instanceof ConnectError) this.#fail(pending);
    else if (pending === undefined) void this.#handle(body);
    else
      pending.then(
        () => this.#handle(body),
        (error: unknown) => this.#fail(this.#lane.toConnectError(error)),
      );
  }

  #finishAuthentication(body: Uint8Array): Promise<void> | ConnectError | undefined {
    if (this.#authenticated === undefined || this.#connection === undefined) return undefined;
    const { scheme, remoteAddress } = this.#connection;
    const { url, headers, authority = "" } = this.#exchange;
    const path = url.split("?", 1)[0] ?? "/";
    try {
      const call = { method: "POST", scheme, authority, path, headers, body, remoteAddress };
      return this.#authenticated(call) ?? undefined;
    } catch (error) {
      return this.#lane.toConnectError(error);
    }
  }

  async #handle(body: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#isOver) return;
    const { spec, serialization } = this.#method;
    const { kind } = this.#exchange;
    try {
      const signal = new CallSignal(this.#readTimeoutMs());
      const request = readRequest(kind, body, this.#method, this.#lane);
      const context = createCallContext(this.#method, this.#exchange, this.#url, this.#values, signal);
      this.#signal = signal;
      this.#context = context;
      const message = await invokeHandler(spec, context, request, this.#lane.interceptors);
      this.#answer(serialization.getO(kind.isBinary).serialize(message), context);
    } catch (error) {
      this.#fail(error instanceof ConnectError ? error : hide(error));
    }
  }

  /** What is left until the caller's deadline, which began with the request's headers. */
  #readTimeoutMs(): number | undefined {
    assertProtocolVersion(this.#exchange, this.#lane);
    const timeoutMs = readTimeout(this.#exchange, this.#lane);
    return timeoutMs === undefined ? undefined : timeoutMs - (performance.now() - this.#beganAtMs);
  }

  #answer(message: Uint8Array, { responseHeader, responseTrailer }: HandlerContext): void {
    if (this.#isOver) return;
    const metadata = { header: responseHeader, trailer: responseTrailer };
    this.#exchange.answer(encodeMessage(this.#exchange.kind, message, metadata));
    this.#end(okCode, undefined);
  }

  #fail(error: ConnectError): void {
    if (this.#isOver) return;
    try {
      this.#sendError(error, this.#readMetadata());
      this.#end(nameCode(error.code), error);
    } catch (problem) {
      this.#failAgain(problem);
    }
  }

  /** What was said of the error, or of the answer that it is about, is nothing that HTTP can carry. */
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

  #readMetadata(): Metadata {
    const context = this.#context;
    return context === undefined
      ? createMetadata(this.#exchange.kind)
      : { header: context.responseHeader, trailer: context.responseTrailer };
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

/** What is thrown past all interceptors is nobody's to read. */
function hide(cause: unknown): ConnectError {
  return new ConnectError("internal error", Code.Internal, undefined, undefined, cause);
}
