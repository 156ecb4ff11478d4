/** What a handler and interceptors are told of a call. */
import { Code, ConnectError, type ContextValues, type HandlerContext } from "@connectrpc/connect";
import { createMetadata } from "./answers.ts";
import type { CallSignal } from "./call-signal.ts";
import type { Exchange } from "./exchange.ts";
import type { Lane, LaneMethod } from "./lane.ts";
import { createLazyHeaders } from "./lazy-headers.ts";

/** The only version of Connect's protocol (connectrpc.com/docs/protocol). */
const protocolVersion = "1";

/** Where an object has the signal that its property `signal` makes when somebody looks. */
export const signalKey = Symbol("signal of the call");

const signalProperty: PropertyDescriptor & ThisType<{ readonly [signalKey]: CallSignal }> = {
  get() {
    return this[signalKey].signal;
  },
  enumerable: true,
  configurable: true,
};

/** Gives an object its property `signal`: its own, so that a copy of the object has one as well. */
export function withSignal<T extends { readonly [signalKey]: CallSignal }>(
  target: T,
): T & { readonly signal: AbortSignal } {
  return Object.defineProperty(target, "signal", signalProperty) as T & { readonly signal: AbortSignal };
}

/** A context whose signal is made when somebody looks. */
export type CallContext = HandlerContext & { readonly [signalKey]: CallSignal };

/** Makes the context of a call. */
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
 * Throws ConnectError with `invalid_argument` when a lane asks for the version of Connect's protocol and a caller names none, or
 * another.
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
