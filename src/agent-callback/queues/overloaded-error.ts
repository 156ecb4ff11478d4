/**
 * Creates the error for calls that are refused for overload. Nothing of such a call was stored, and it is safe to send
 * again later.
 */
import { Code, type ConnectError } from "@connectrpc/connect";
import { createKnownError } from "../../rpc/calls/error-mapping.ts";

/** One error for each time, since creating errors with their stacks would be a large part of a refused call's cost. */
const errors = new Map<number, ConnectError>();
const all = new WeakSet<object>();

/**
 * Returns the error `resource_exhausted` that asks a caller to try again after this whole number of seconds. Refused
 * calls share it, so it must not be changed.
 */
export function getOverloadedError(retryAfterSeconds: number): ConnectError {
  const known = errors.get(retryAfterSeconds);
  if (known !== undefined) return known;
  const message = "the server receives more heartbeats than it can process: retry later";
  const error = createKnownError({ code: Code.ResourceExhausted, message, retryAfterSeconds });
  errors.set(retryAfterSeconds, error);
  all.add(error);
  return error;
}

/** Returns whether an error comes from `getOverloadedError`. */
export function isOverloadedError(error: unknown): boolean {
  return error instanceof Object && all.has(error);
}
