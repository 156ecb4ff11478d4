/** Reads the deadline that a caller sets, once for each call. */
import type { IncomingHttpHeaders } from "node:http";
import { type ConnectError, createContextKey } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { CallRecord } from "./call-record.ts";

/** A caller's deadline; neither property is set if there is none. */
export interface CallerDeadline {
  /** How long the caller waits, in milliseconds from its request's headers. */
  readonly timeoutMs?: number | undefined;
  /** Error `invalid_argument` for a header that is not a valid deadline. */
  readonly error?: ConnectError | undefined;
}

/**
 * Context key of how long the caller waits, in milliseconds from its request's headers; undefined without a deadline.
 */
export const callerTimeoutKey = createContextKey<number | undefined>(undefined, {
  description: "how long the caller waits",
});

/**
 * Reads the deadline in `grpc-timeout` (PROTOCOL-HTTP2, "Timeout") or, for Connect's protocol, in `connect-timeout-ms`.
 * A deadline beyond `maxMs` counts as none, since gRPC allows up to 11,000 years, which means for ever. Its header is
 * deleted, because Connect's handler would start a timer that overflows and then refuse the call.
 */
export function readCallerDeadline(
  protocol: CallRecord["protocol"],
  headers: IncomingHttpHeaders,
  maxMs: number,
): CallerDeadline {
  const name = protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout";
  const value = headers[name];
  if (value === undefined) return none;
  const parse = protocol === "connect" ? parseConnectTimeout : parseGrpcTimeout;
  const deadline = parse(String(value), Number.POSITIVE_INFINITY);
  if (deadline.timeoutMs === undefined || deadline.timeoutMs <= maxMs) return deadline;
  delete headers[name];
  return none;
}

const none: CallerDeadline = {};
