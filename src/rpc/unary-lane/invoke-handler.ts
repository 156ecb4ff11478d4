/**
 * Creates the context of a call, and runs its handler behind the interceptors, as Connect does, but creates nothing
 * before it is used. It uses no async functions, since each call of one leaves a kilobyte of garbage.
 */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type {
  ConnectError,
  ContextValues,
  HandlerContext,
  Interceptor,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { type CallSignal, createLazyHeaders } from "./context-parts.ts";
import type { Exchange } from "./exchange.ts";
import type { LaneMethod } from "./lane.ts";
import { createMetadata } from "./messages.ts";
import type { UnarySpec } from "./unary-methods.ts";

/** Key of the CallSignal from which an object's property `signal` is created on first use. */
const signalKey = Symbol("signal of the call");

const signalProperty: PropertyDescriptor & ThisType<{ readonly [signalKey]: CallSignal }> = {
  get() {
    return this[signalKey].signal;
  },
  enumerable: true,
  configurable: true,
};

/** Gives an object an own property `signal`, so that a copy of the object has it as well. */
function withSignal<T extends { readonly [signalKey]: CallSignal }>(target: T): T & { readonly signal: AbortSignal } {
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

/** A message whose type only its method knows. */
export type AnyMessage = MessageShape<DescMessage>;

/** Maps errors of a handler before interceptors see them. */
export interface ErrorMap {
  mapError(error: unknown): ConnectError;
}

type Next = Parameters<Interceptor>[0];
type NextRequest = Parameters<Next>[0];

/**
 * Returns the answer's message or a promise of it. Throws, or rejects with, errors of the handler or of an interceptor.
 * Afterwards `context` has the metadata as interceptors left it.
 */
export function invokeHandler(
  spec: UnarySpec,
  context: CallContext,
  message: AnyMessage,
  interceptors: readonly Interceptor[],
  errors: ErrorMap,
): AnyMessage | Promise<AnyMessage> {
  if (interceptors.length > 0) return intercept(spec, context, message, interceptors, errors);
  const { output } = spec.method;
  const result = spec.impl(message, context);
  return isPromise(result) ? result.then((given) => create(output, given)) : create(output, result);
}

function intercept(
  { impl, method }: UnarySpec,
  context: CallContext,
  message: AnyMessage,
  interceptors: readonly Interceptor[],
  errors: ErrorMap,
): Promise<AnyMessage> {
  const request = createRequest(context, method, message);
  let next: Next = (given) => {
    try {
      const result = impl(given.message as AnyMessage, adoptRequest(context, given, request));
      if (!isPromise(result)) return Promise.resolve(createResponse(context, method, create(method.output, result)));
      return result.then(
        (output) => createResponse(context, method, create(method.output, output)),
        (error: unknown) => {
          throw errors.mapError(error);
        },
      );
    } catch (error) {
      return Promise.reject(errors.mapError(error));
    }
  };
  for (let index = interceptors.length - 1; index >= 0; index--) next = (interceptors[index] as Interceptor)(next);
  return next(request).then((response) => {
    replaceFields(context.responseHeader, response.header);
    replaceFields(context.responseTrailer, response.trailer);
    return response.message as AnyMessage;
  });
}

/** Returns whether a value is a promise. */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | undefined)?.then === "function";
}

function createRequest(context: CallContext, method: UnarySpec["method"], message: AnyMessage): UnaryRequest {
  return withSignal({
    stream: false as const,
    service: context.service,
    method,
    requestMethod: context.requestMethod,
    url: context.url,
    header: context.requestHeader,
    contextValues: context.values,
    message,
    [signalKey]: context[signalKey],
  });
}

function createResponse(context: HandlerContext, method: UnarySpec["method"], message: AnyMessage): UnaryResponse {
  const { service, responseHeader: header, responseTrailer: trailer } = context;
  return { stream: false, service, method, header, trailer, message };
}

/** Returns the context, with the values of the request that interceptors may have replaced. */
function adoptRequest(context: HandlerContext, given: NextRequest, request: UnaryRequest): HandlerContext {
  const isOurs = given === request && given.header === context.requestHeader && given.contextValues === context.values;
  if (isOurs) return context;
  const { service, header, signal, contextValues } = given;
  return { ...context, service, requestHeader: header, signal, values: contextValues };
}

function replaceFields(own: Headers, given: Headers): void {
  if (given === own) return;
  for (const name of [...own.keys()]) own.delete(name);
  for (const [name, value] of given) own.append(name, value);
}
