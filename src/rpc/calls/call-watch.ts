/**
 * Gives every call a request id, and observes when and how each one ends: refused by the gate, undecodable, answered,
 * or abandoned by its caller. Interceptors alone would miss calls that end before their message has arrived.
 */
import { randomUUID } from "node:crypto";
import { Code, ConnectError, createContextKey, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { isFailedWrite } from "../wire/request-body.ts";
import { type CallRecord, nameCode, type OnCall } from "./call-record.ts";

/** Observer of calls. Its functions must not throw. */
export interface CallObserver {
  /** Called when the gate has admitted the call. */
  onStart?(call: HandlerContext): void;
  /** Called once for each call, whether it started or not. */
  readonly onCall: OnCall;
}

/** Parts by which a listener watches its calls. */
export interface CallWatch {
  /** To be called first when a call's headers have arrived. */
  readonly begin: (context: HandlerContext) => void;
  /** To be used as the outermost interceptor. */
  readonly interceptor: Interceptor;
}

/** Header in which callers may send a request id, and in which every answer returns it. */
const requestIdHeader = "x-request-id";

const protocols = ["connect", "grpc", "grpc-web"] as const;

/** Context key of a call's request id, for log lines. */
export const requestIdKey = createContextKey<string | undefined>(undefined, { description: "request id" });

const callKey = createContextKey<HandlerContext | undefined>(undefined, { description: "watched call" });

/** Whether the handler has completed. An abort after that is not a failure. */
const isAnsweredKey = createContextKey(false, { description: "call is answered" });

/**
 * Accepted form of a caller's request id: one word that is harmless in a log and a header, such as UUIDs, ULIDs and
 * AWS's "Root=1-…".
 */
const acceptableId = /^[\w.:=+/@-]{1,128}$/;

/** Creates the parts of a watch. */
export function createCallWatch(observers: readonly CallObserver[]): CallWatch {
  return {
    begin: (context) => begin(context, observers),
    interceptor: (next) => async (request) => {
      const { contextValues } = request;
      const call = contextValues.get(callKey);
      if (call !== undefined) for (const observer of observers) observer.onStart?.(call);
      const response = await next(request);
      if (!response.stream) {
        contextValues.set(isAnsweredKey, true);
        return response;
      }
      return { ...response, message: markEnd(response.message, () => contextValues.set(isAnsweredKey, true)) };
    },
  };
}

function begin(context: HandlerContext, observers: readonly CallObserver[]): void {
  const beganAt = performance.now();
  const { method, protocolName, requestHeader: headers, values } = context;
  const requestId = readRequestId(headers);
  values.set(callKey, context);
  values.set(requestIdKey, requestId);
  context.responseHeader.set(requestIdHeader, requestId);
  const protocol = protocols.find((known) => known === protocolName);
  const end = () => {
    const durationMs = performance.now() - beganAt;
    const record: CallRecord = { method, protocol, durationMs, headers, values, ...findOutcome(context) };
    for (const observer of observers) observer.onCall(record);
  };
  // Connect aborts the signal when the call has ended, in whatever way.
  if (context.signal.aborted) end();
  else context.signal.addEventListener("abort", end, { once: true });
}

function readRequestId(header: Headers): string {
  const given = header.get(requestIdHeader);
  return given !== null && acceptableId.test(given) ? given : randomUUID();
}

/**
 * Derives the outcome from the reason of the signal: the error that the caller gets, or that its leaving caused, or an
 * AbortError after success.
 */
function findOutcome({ signal, values }: HandlerContext): Pick<CallRecord, "code" | "cause"> {
  const reason: unknown = signal.reason;
  // connect-node reports a broken connection as "aborted" and a reset stream as "canceled". No method here fails with
  // "aborted".
  if (reason instanceof ConnectError) {
    return { code: nameCode(reason.code === Code.Aborted ? Code.Canceled : reason.code) };
  }
  if (isFailedWrite(reason)) return { code: nameCode(Code.Canceled) };
  if (!(reason instanceof DOMException)) return { code: nameCode(Code.Internal), cause: reason };
  return { code: nameCode(values.get(isAnsweredKey) ? undefined : Code.Canceled) };
}

async function* markEnd<T>(messages: AsyncIterable<T>, ended: () => void): AsyncIterable<T> {
  yield* messages;
  ended();
}
