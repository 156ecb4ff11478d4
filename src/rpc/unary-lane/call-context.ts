/** Creates the contexts that handlers and interceptors get for a call. */
import { Code, ConnectError, type ContextValues, type HandlerContext } from "@connectrpc/connect";
import { createMetadata } from "./answers.ts";
import type { CallSignal } from "./call-signal.ts";
import type { Exchange } from "./exchange.ts";
import type { Lane, LaneMethod } from "./lane.ts";
import { createLazyHeaders } from "./lazy-headers.ts";

/** The only version of Connect's protocol (connectrpc.com/docs/protocol). */
const protocolVersion = "1";

/** Key of the CallSignal from which an object's property `signal` is created on first use. */
export const signalKey = Symbol("signal of the call");

const signalProperty: PropertyDescriptor & ThisType<{ readonly [signalKey]: CallSignal }> = {
  get() {
    return this[signalKey].signal;
  },
  enumerable: true,
  configurable: true,
};

/** Gives an object an own property `signal`, so that a copy of the object has it as well. */
export function withSignal<T extends { readonly [signalKey]: CallSignal }>(
  target: T,
): T & { readonly signal: AbortSignal } {
  return Object.defineProperty(target, "signal", signalProperty) as T & { readonly signal: AbortSignal };
}

/** A context whose signal is created on first use. */
export type CallContext = HandlerContext & { readonly [signalKey]: CallSignal };

/** Creates the context of a call. */
export function createCallContext(
  { spec: { method } }: LaneMethod,
  { kind, headers }: Exchange,
  url: string,
  values: ContextValues,
  signal: CallSignal,
): CallContext {
  const { responseHeader, responseTrailer } = createMetadata(kind);
  return withSignal({
    service: method.parent,
    method,
    requestMethod: "POST",
    protocolName: kind.protocol,
    url,
    requestHeader: createLazyHeaders(headers),
    responseHeader,
    responseTrailer,
    values,
    timeoutMs: signal.timeoutMs,
    [signalKey]: signal,
  });
}

/**
 * Throws ConnectError with `invalid_argument` if the lane requires the version of Connect's protocol and the caller
 * states none or a different one.
 */
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
