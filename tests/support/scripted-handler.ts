/** A handler of heartbeats that follows a script in the request, and answers with what it saw of its call. */
import { type Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { BadRequestSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import type { HeartbeatHandler } from "./agent-listener.ts";

type Fields = readonly (readonly [name: string, value: string])[];

/** Script for the handler, sent as JSON in the request's machine id. */
export interface Script {
  readonly header: Fields;
  readonly trailer: Fields;
  /** Generation to answer with. */
  readonly generation?: string;
  readonly error?: {
    /** Absent: throw an error that is not a ConnectError. */
    readonly code?: Code;
    readonly message: string;
    readonly metadata: Fields;
    readonly hasDetails: boolean;
  };
  /** Whether the handler answers asynchronously. */
  readonly isSlow: boolean;
}

/** Response header that describes what the handler saw, as percent-encoded JSON. */
const sawHeader = "x-saw";

/** Handles a heartbeat by the script in its machine id, and describes in a response header what it saw of the call. */
export const runScript: HeartbeatHandler = (request, context) => {
  const script = JSON.parse(request.machineId) as Script;
  context.responseHeader.set(sawHeader, encodeURIComponent(JSON.stringify(describe(context))));
  return script.isSlow ? Promise.resolve().then(() => carryOut(script, context)) : carryOut(script, context);
};

function carryOut({ header, trailer, error, generation }: Script, context: HandlerContext) {
  for (const [name, value] of header) context.responseHeader.append(name, value);
  for (const [name, value] of trailer) context.responseTrailer.append(name, value);
  if (error !== undefined) throw toError(error);
  return generation === undefined ? {} : { installationRequest: { generation: BigInt(generation) } };
}

function toError({ code, message, metadata, hasDetails }: NonNullable<Script["error"]>): Error {
  if (code === undefined) return new Error(message);
  const details = [
    { desc: RetryInfoSchema, value: { retryDelay: { seconds: 5n } } },
    { desc: BadRequestSchema, value: { fieldViolations: [{ field: "machine_id", description: message }] } },
  ];
  return new ConnectError(
    message,
    code,
    new Headers(metadata.map(([name, value]) => [name, value])),
    hasDetails ? details : [],
  );
}

function describe(context: HandlerContext) {
  const { service, method, requestMethod, protocolName, url, requestHeader, responseHeader, responseTrailer } = context;
  return {
    keys: ["service", "method", "signal", "values", "timeoutMs"].filter((key) => !Object.hasOwn(context, key)),
    service: service.typeName,
    method: method.name,
    requestMethod,
    protocolName,
    url,
    isAborted: context.signal.aborted,
    hasTimeout: context.timeoutMs() !== undefined,
    requestHeader: [...requestHeader],
    responseHeader: [...responseHeader].filter(([name]) => name !== sawHeader && name !== "grpc-encoding"),
    responseTrailer: [...responseTrailer],
  };
}
