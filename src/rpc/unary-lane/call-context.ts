/** What a handler and interceptors are told of a call, and the signal by which they learn that it is over. */
import { Code, ConnectError, type ContextValues, type HandlerContext } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout, protocolVersion } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { createMetadata } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import type { Lane, LaneMethod } from "./lane.ts";
import { LazyHeaders } from "./lazy-headers.ts";

/** A call's context, and its end. */
export interface CallContext {
  readonly context: HandlerContext;
  /** Aborts the context's signal and forgets the deadline. */
  end(reason: unknown): void;
}

/** What a signal of a call that succeeded is aborted with: making one costs more than all the rest of a call's end. */
const completed = new DOMException("This operation was aborted", "AbortError");

/** Makes the context of a call; `timeoutMs` is what is left until its deadline. */
export function createCallContext(
  { spec: { method } }: LaneMethod,
  exchange: Exchange,
  url: string,
  values: ContextValues,
  timeoutMs: number | undefined,
): CallContext {
  const { kind } = exchange;
  const controller = new AbortController();
  const { header: responseHeader, trailer: responseTrailer } = createMetadata(kind);
  const context: HandlerContext = {
    service: method.parent,
    method,
    requestMethod: "POST",
    protocolName: kind.protocol,
    url,
    requestHeader: new LazyHeaders(exchange.headers),
    responseHeader,
    responseTrailer,
    values,
    signal: controller.signal,
    timeoutMs: timeoutMs === undefined ? noTimeout : countDown(timeoutMs),
  };
  const timer = startDeadline(timeoutMs, controller);
  return {
    context,
    end: (reason = completed) => {
      if (timer !== undefined) clearTimeout(timer);
      controller.abort(reason);
    },
  };
}

function noTimeout(): undefined {
  return undefined;
}

function countDown(timeoutMs: number): () => number {
  const endMs = Date.now() + timeoutMs;
  return () => endMs - Date.now();
}

function startDeadline(timeoutMs: number | undefined, controller: AbortController): NodeJS.Timeout | undefined {
  if (timeoutMs === undefined) return undefined;
  const expire = () => controller.abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
  if (timeoutMs > 0) return setTimeout(expire, timeoutMs);
  expire();
  return undefined;
}

/** The deadline that a caller names, in milliseconds; throws ConnectError with `invalid_argument` for one that is none. */
export function readTimeout(
  { kind, headers }: Exchange,
  { maxTimeoutMs }: Pick<Lane, "maxTimeoutMs">,
): number | undefined {
  const [name, parse] =
    kind.protocol === "connect"
      ? (["connect-timeout-ms", parseConnectTimeout] as const)
      : (["grpc-timeout", parseGrpcTimeout] as const);
  const value = headers[name];
  if (value === undefined) return undefined;
  const { timeoutMs, error } = parse(String(value), maxTimeoutMs);
  if (error !== undefined) throw error;
  return timeoutMs;
}

/** Throws ConnectError with `invalid_argument` when a lane asks for the version of Connect's protocol and a caller names none, or another. */
export function assertProtocolVersion(
  { kind, headers }: Exchange,
  lane: Pick<Lane, "requireConnectProtocolHeader">,
): void {
  if (lane.requireConnectProtocolHeader !== true || kind.protocol !== "connect") return;
  const version = headers["connect-protocol-version"];
  if (version === protocolVersion) return;
  const text =
    version === undefined
      ? `missing required header: set Connect-Protocol-Version to "${protocolVersion}"`
      : `Connect-Protocol-Version must be "${protocolVersion}": got "${version}"`;
  throw new ConnectError(text, Code.InvalidArgument);
}
