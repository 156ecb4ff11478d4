/**
 * Records the outcome of calls served by Connect's handler, where errors can arise before the interceptors and after
 * them.
 */
import type { IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextKey,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type CallRecord, nameCode, type OnCall, okCode } from "./call-record.ts";

/** Record of a call that has not ended. */
interface PendingRecord {
  /** Error with which the call was refused before Connect's handler. */
  refusal?: ConnectError;
  /** Trailers in which Connect's handler states the outcome of a gRPC or gRPC-Web call. */
  trailer?: Headers;
  /** Error that the service's handler or an interceptor threw. */
  failure?: unknown;
}

const recordKey = createContextKey<PendingRecord | undefined>(undefined, { description: "record of the call" });

/**
 * Begins the record of a call, which goes to `onCall` when the response closes. `values` must become those of the
 * call's context. Returns a function that records a refusal before Connect's handler.
 */
export function recordCall(
  method: DescMethod,
  protocol: CallRecord["protocol"],
  request: FastifyRequest,
  reply: FastifyReply,
  values: ContextValues,
  onCall: OnCall,
): (refusal: ConnectError) => void {
  const beganAtMs = performance.now();
  const record: PendingRecord = {};
  values.set(recordKey, record);
  reply.raw.once("close", () => {
    const code = readCode(record, request, reply);
    onCall({ method, protocol, code, durationMs: performance.now() - beganAtMs, headers: request.headers, values });
  });
  return (refusal) => {
    record.refusal = refusal;
  };
}

/** Creates options of Connect's handler that record the outcome of its answers. */
export function createRecordOptions(): {
  readonly requestGate: (context: HandlerContext) => void;
  /** Must be the outermost interceptor. */
  readonly interceptor: Interceptor;
} {
  return {
    requestGate: ({ values, responseTrailer }) => {
      const record = values.get(recordKey);
      if (record !== undefined) record.trailer = responseTrailer;
    },
    interceptor: (next) => async (request) => {
      try {
        return await next(request);
      } catch (error) {
        const record = request.contextValues.get(recordKey);
        if (record !== undefined) record.failure = error;
        throw error;
      }
    },
  };
}

/** Returns the protocol that a request's method and content type belong to, or undefined. */
export function findProtocol({ method, headers }: FastifyRequest): CallRecord["protocol"] {
  const type = headers["content-type"]?.toLowerCase() ?? "";
  if (type.startsWith("application/grpc-web")) return "grpc-web";
  if (type.startsWith("application/grpc")) return "grpc";
  return method === "GET" || /^application\/(?:json|proto|connect\+)/.test(type) ? "connect" : undefined;
}

function readCode(record: PendingRecord, request: FastifyRequest, reply: FastifyReply): string {
  if (record.refusal !== undefined) return nameCode(record.refusal.code);
  if (isCutOff(request.raw, reply)) return nameCode(Code.Canceled);
  const status = record.trailer?.get("grpc-status") ?? undefined;
  if (status !== undefined) return status === "0" ? okCode : nameCode(Number(status));
  if (reply.raw.statusCode === 200) return okCode;
  return nameCode(findFailureCode(record, reply.raw.statusCode));
}

function findFailureCode({ failure }: PendingRecord, status: number): Code {
  if (failure !== undefined) return failure instanceof ConnectError ? failure.code : Code.Internal;
  return codes.get(status) ?? Code.Internal;
}

/** Codes that Connect's handler means by its HTTP status when no handler of a service was called. */
const codes: ReadonlyMap<number, Code> = new Map([
  [400, Code.InvalidArgument],
  [404, Code.Unimplemented],
  [405, Code.Unimplemented],
  [415, Code.Unimplemented],
  [429, Code.ResourceExhausted],
  [501, Code.Unimplemented],
  [505, Code.Unimplemented],
]);

/** Returns whether the caller left before its answer was sent. */
function isCutOff(
  { stream }: IncomingMessage & { readonly stream?: ServerHttp2Stream },
  { raw }: FastifyReply,
): boolean {
  return stream === undefined ? !raw.writableFinished : stream.aborted || stream.rstCode !== 0;
}
