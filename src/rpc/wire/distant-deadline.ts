/** Deadlines that callers name although nothing here takes as long. */
import type { IncomingHttpHeaders } from "node:http";

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Removes the deadline from a call's headers when it lies beyond `maxMs`. gRPC allows for one of 11,000 years (PROTOCOL-HTTP2,
 * "Timeout"), which is meant as none; Connect would refuse it, after starting a timer that overflows.
 */
export function dropDistantDeadline(headers: IncomingHttpHeaders, maxMs: number): void {
  const grpcTimeout = headers["grpc-timeout"];
  if (grpcTimeout !== undefined) {
    const [, value, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(String(grpcTimeout)) ?? [];
    if (Number(value) * (unitMs[unit] ?? 0) > maxMs) delete headers["grpc-timeout"];
  }
  const connectTimeout = headers["connect-timeout-ms"];
  if (connectTimeout !== undefined) {
    const [milliseconds] = /^\d{1,10}$/.exec(String(connectTimeout)) ?? [];
    if (Number(milliseconds) > maxMs) delete headers["connect-timeout-ms"];
  }
}
