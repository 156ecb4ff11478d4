/** Finds out why a call of an agent was refused, for metrics. */
import { Code, ConnectError } from "@connectrpc/connect";
import { isContention, isDatabaseAway } from "../db/errors.ts";
import { type IdentityRefusal, IdentityRefusedError } from "./identity/agent-identity.ts";
import { isOverloadedError } from "./queues/overloaded-error.ts";
import { AddressLimitError } from "./stranger-limit.ts";

/** Reason for which any call of an agent may be refused. */
export type CallRefusal =
  | IdentityRefusal
  | "invalid"
  | "overloaded"
  | "address_limit"
  | "contention"
  | "deadline_exceeded"
  | "database_away"
  | "internal";

/**
 * Returns the reason for which a call failed with `error`, or undefined if its caller left, or if the reason is one of
 * the method's own.
 */
export function findCallRefusal(error: unknown): CallRefusal | undefined {
  if (error instanceof IdentityRefusedError) return error.refusal;
  if (isOverloadedError(error)) return "overloaded";
  if (error instanceof AddressLimitError) return "address_limit";
  if (isDatabaseAway(error)) return "database_away";
  if (isContention(error)) return "contention";
  if (error instanceof ConnectError) return refusalsByCode.get(error.code);
  return error instanceof DOMException ? undefined : "internal";
}

const refusalsByCode: ReadonlyMap<Code, CallRefusal> = new Map([
  [Code.InvalidArgument, "invalid"],
  [Code.DeadlineExceeded, "deadline_exceeded"],
  [Code.Unavailable, "database_away"],
  [Code.Internal, "internal"],
]);
