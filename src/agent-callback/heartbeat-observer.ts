/** What operators can count of heartbeats that did not count, and why. */
import { Code, ConnectError } from "@connectrpc/connect";
import { isContention, isDatabaseAway } from "../db/errors.ts";
import { WriterOverloadedError } from "./heartbeat-writer.ts";
import { IdentityRefusedError } from "./identity/agent-identity.ts";
import { isOverloadedError } from "./queues/overloaded-error.ts";
import { AddressLimitError } from "./stranger-limit.ts";

/** Every reason there is, so that each can be counted from zero. */
export const refusalReasons = [
  "no_proof",
  "certificate",
  "signature",
  "clock_skew",
  "authority",
  "unknown_identity",
  "replayed",
  "invalid",
  "report_not_requested",
  "overloaded",
  "address_limit",
  "contention",
  "deadline_exceeded",
  "database_away",
  "internal",
] as const;

/**
 * Why a heartbeat was refused; "report_not_requested" refuses only the installation report in it, whose generation was
 * never requested, or never given to the agent.
 */
export type RefusalReason = (typeof refusalReasons)[number];

/** Is told what happens to heartbeats; must not throw. */
export interface HeartbeatObserver {
  refused(reason: RefusalReason): void;
  /** A machine's request is stored in a form that nobody can read, and was not handed out. */
  undecodableRequest(): void;
}

/** Tells the observer why a call failed with `error`, but not of callers who left. */
export function observeRefusal(observer: HeartbeatObserver, error: unknown): void {
  const reason = findReason(error);
  if (reason !== undefined) observer.refused(reason);
}

function findReason(error: unknown): RefusalReason | undefined {
  if (error instanceof IdentityRefusedError) return error.refusal;
  if (isOverloadedError(error) || error instanceof WriterOverloadedError) return "overloaded";
  if (error instanceof AddressLimitError) return "address_limit";
  if (isDatabaseAway(error)) return "database_away";
  if (isContention(error)) return "contention";
  if (error instanceof ConnectError) return reasonsByCode.get(error.code);
  return error instanceof DOMException ? undefined : "internal";
}

const reasonsByCode: ReadonlyMap<Code, RefusalReason> = new Map([
  [Code.InvalidArgument, "invalid"],
  [Code.FailedPrecondition, "report_not_requested"],
  [Code.DeadlineExceeded, "deadline_exceeded"],
  [Code.Unavailable, "database_away"],
  [Code.Internal, "internal"],
]);
