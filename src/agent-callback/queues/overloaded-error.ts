/** What callers are told while more comes than the server can take; nothing of the call was stored, and sending it again later is safe. */
import { Code, type ConnectError } from "@connectrpc/connect";
import { createKnownError } from "../../rpc/calls/error-mapping.ts";

/** One for each time: making them anew, with their stacks, would be a good part of what a refused call costs. */
const errors = new Map<number, ConnectError>();
const all = new WeakSet<object>();

/** The error, `resource_exhausted`, that asks a caller to come back in so many whole seconds. It belongs to all who are refused. */
export function getOverloadedError(retryAfterSeconds: number): ConnectError {
  const known = errors.get(retryAfterSeconds);
  if (known !== undefined) return known;
  const message = "more heartbeats come than the server can take: send this one again later";
  const error = createKnownError({ code: Code.ResourceExhausted, message, retryAfterSeconds });
  errors.set(retryAfterSeconds, error);
  all.add(error);
  return error;
}

/** Whether it is one of these. */
export function isOverloadedError(error: unknown): boolean {
  return error instanceof Object && all.has(error);
}
