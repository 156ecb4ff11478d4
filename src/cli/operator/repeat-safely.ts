/** Repeats calls that a server could not answer now, such that a change is never made twice. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { findSystemCode } from "../system-code.ts";
import { note } from "./output.ts";

/** Waits before the second to the last try, in milliseconds: long enough for a server to start again. */
const waitsMs: readonly number[] = [250, 500, 1000, 2000, 4000];
/** Longest delay that a server can ask for and get, in milliseconds. */
const maxServerDelayMs = 10_000;

/**
 * Gives every change a request id, by which the server knows a repeat, and repeats unary calls for as long as the server cannot be
 * reached or says that it cannot answer now, five times at most and not before the time that it names.
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

/** Whether the same call may succeed in a moment. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  const systemCode = findSystemCode(error);
  if (systemCode === "ENOTFOUND") return false;
  return error.code === Code.Unavailable || systemCode === "ECONNRESET" || systemCode === "EPIPE";
}

/** How long the server asks to wait, in milliseconds; 0 when it does not say. */
export function findServerDelayMs(error: ConnectError): number {
  const [info] = error.findDetails(RetryInfoSchema);
  return info?.retryDelay === undefined ? 0 : Math.min(maxServerDelayMs, durationMs(info.retryDelay));
}
