/**
 * Gives every call a request id, and says when and how each one ended: refused by the gate, undecodable, answered, or left by its
 * caller. Interceptors alone would not see the calls that end before a message is there.
 */
import { randomUUID } from "node:crypto";
import { Code, ConnectError, createContextKey, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { type CallRecord, nameCode, type OnCall } from "./call-record.ts";

/** Who wants to know of calls. Neither function may throw. */
export interface CallObserver {
  /** Called when the gate has let the call through. */
  onStart?(call: HandlerContext): void;
  /** Called once for each call, whether it started or not. */
  readonly onCall: OnCall;
}

/** What a listener needs to watch its calls. */
export interface CallWatch {
  /** The first thing to run when a call's headers are there. */
  readonly begin: (context: HandlerContext) => void;
  /** The outermost interceptor. */
  readonly interceptor: Interceptor;
}

/** The header in which callers may name their request, and in which every answer names it. */
const requestIdHeader = "x-request-id";

const protocols = ["connect", "grpc", "grpc-web"] as const;

/** The request id of a call, for whoever logs something of it. */
export const requestIdKey = createContextKey<string | undefined>(undefined, { description: "request id" });

const callKey = createContextKey<HandlerContext | undefined>(undefined, { description: "watched call" });

/** Whether the call's own code has run to its end: what aborts it then is no failure. */
const isAnsweredKey = createContextKey(false, { description: "call is answered" });

/** A caller's id is taken over when it is one word that is harmless in a log and a header: UUIDs, ULIDs, AWS's "Root=1-…". */
const acceptableId = /^[\w.:=+/@-]{1,128}$/;

/** Makes the two parts that belong together. */
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
  // Connect aborts the signal when the call is over, however it ends.
  if (context.signal.aborted) end();
  else context.signal.addEventListener("abort", end, { once: true });
}

function readRequestId(header: Headers): string {
  const given = header.get(requestIdHeader);
  return given !== null && acceptableId.test(given) ? given : randomUUID();
}

/** The reason is the error that the caller gets or that its leaving caused; of success it is an AbortError. */
function findOutcome({ signal, values }: HandlerContext): Pick<CallRecord, "code" | "cause"> {
  const reason: unknown = signal.reason;
  // Of a broken connection connect-node says "aborted", of a reset stream "canceled"; no method here says "aborted".
  if (reason instanceof ConnectError) {
    return { code: nameCode(reason.code === Code.Aborted ? Code.Canceled : reason.code) };
  }
  if (!(reason instanceof DOMException)) return { code: nameCode(Code.Internal), cause: reason };
  return { code: nameCode(values.get(isAnsweredKey) ? undefined : Code.Canceled) };
}

async function* markEnd<T>(messages: AsyncIterable<T>, ended: () => void): AsyncIterable<T> {
  yield* messages;
  ended();
}
