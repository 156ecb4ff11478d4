/** Records a span for each call, by the semantic conventions for RPC (opentelemetry.io/docs/specs/semconv/rpc). */
import type { DescMethod } from "@bufbuild/protobuf";
import { createContextKey } from "@connectrpc/connect";
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type Tracer,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { type CallRecord, okCode } from "../rpc/calls/call-record.ts";
import type { CurrentSpan } from "./current-span.ts";
import type { Tracing } from "./tracing.ts";

/** Headers with the caller's W3C trace context (w3.org/TR/trace-context). */
type Carrier = CallRecord["headers"];

const spanKey = createContextKey<Span | undefined>(undefined, { description: "span of the call" });

/** Creates the parts of tracing that observe calls. */
export function createCallSpans(
  tracer: Tracer,
  current: CurrentSpan,
): Pick<Tracing, "beginCall" | "traceAuthenticate" | "interceptor" | "onCall"> {
  const begin = (method: DescMethod, headers: Carrier, startTime: number) =>
    tracer.startSpan(nameMethod(method), { kind: SpanKind.SERVER, startTime }, readParent(headers));

  return {
    beginCall: ({ method, requestHeader, values }) => {
      values.set(spanKey, begin(method, requestHeader, performance.now()));
    },
    traceAuthenticate: (findMethod, authenticate) => (connection, values) => {
      const beganAtMs = performance.now();
      const finish = authenticate(connection, values);
      return (call) => {
        const span = begin(findMethod(call.path), call.headers, beganAtMs);
        values.set(spanKey, span);
        return current.run(span, () => finish(call));
      };
    },
    interceptor: (next) => async (request) => {
      const span = request.contextValues.get(spanKey);
      if (span === undefined) return await next(request);
      const response = await current.run(span, () => next(request));
      return response.stream
        ? { ...response, message: runEachStep(response.message, (step) => current.run(span, step)) }
        : response;
    },
    onCall: (record) => {
      const { method, headers, durationMs, values } = record;
      const span = values.get(spanKey) ?? begin(method, headers, performance.now() - durationMs);
      describeCall(span, record);
      span.end();
    },
  };
}

function nameMethod(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

const propagator = new W3CTraceContextPropagator();

const getter: TextMapGetter<Carrier> = {
  get: (headers, name) => (headers instanceof Headers ? (headers.get(name) ?? undefined) : headers[name]),
  keys: (headers) => [...(headers instanceof Headers ? headers.keys() : Object.keys(headers))],
};

function readParent(headers: Carrier): Context {
  return propagator.extract(ROOT_CONTEXT, headers, getter);
}

async function* runEachStep<T>(messages: AsyncIterable<T>, run: <R>(step: () => R) => R): AsyncGenerator<T> {
  const iterator = run(() => messages[Symbol.asyncIterator]());
  try {
    for (;;) {
      const next = await run(() => iterator.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/** Codes of the server's errors. Other codes mean that the caller made a mistake or cancelled. */
const serverErrors: ReadonlySet<string> = new Set([
  "unknown",
  "deadline_exceeded",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
]);

function describeCall(span: Span, { method, protocol, code }: CallRecord): void {
  const isConnect = protocol === "connect";
  const status = isConnect ? code : nameGrpcStatus(code);
  span.setAttribute("rpc.method", nameMethod(method));
  if (protocol !== undefined) span.setAttribute("rpc.system.name", isConnect ? "connectrpc" : "grpc");
  // Connect defines no code for success.
  if (!isConnect || code !== okCode) span.setAttribute("rpc.status_code", status);
  if (serverErrors.has(code)) {
    span.setAttribute("error.type", status);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
}

/** Returns a code in gRPC's spelling, which differs only in case, except for one code. */
function nameGrpcStatus(code: string): string {
  return code === "canceled" ? "CANCELLED" : code.toUpperCase();
}
