/** Repeats calls that a server could not answer, so that a change is never made twice. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { findSystemCode } from "../../base/system-code.ts";
import { note } from "./output.ts";

/** Waits before each repetition, in milliseconds. Together they are long enough for a server to restart. */
const waitsMs: readonly number[] = [250, 500, 1000, 2000, 4000];
/** Longest delay requested by a server that is honoured, in milliseconds. */
const maxServerDelayMs = 10_000;

/**
 * Gives every change a request id, by which the server recognises a repetition. Repeats a unary call at most five times
 * while the server cannot be reached or says that it cannot answer now, and not before the time that the server names.
 */
export const repeatSafely: Interceptor = (next) => async (request) => {
  if (request.stream) return await next(request);
  if ("requestId" in request.message && request.message.requestId === "") request.message.requestId = randomUUID();
  for (const waitMs of waitsMs) {
    try {
      return await next(request);
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (process.stderr.isTTY && waitMs === waitsMs[0]) note("the server does not answer; retrying");
      await delay(Math.max(waitMs, findServerDelayMs(ConnectError.from(error))), undefined, { signal: request.signal });
    }
  }
  return await next(request);
};

/** Returns whether the same call may soon succeed. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  const systemCode = findSystemCode(error);
  if (systemCode === "ENOTFOUND") return false;
  return error.code === Code.Unavailable || systemCode === "ECONNRESET" || systemCode === "EPIPE";
}

/** Returns the delay that the server requests, in milliseconds; 0 if it requests none. */
export function findServerDelayMs(error: ConnectError): number {
  const [info] = error.findDetails(RetryInfoSchema);
  return info?.retryDelay === undefined ? 0 : Math.min(maxServerDelayMs, durationMs(info.retryDelay));
}
