/** Reports heartbeats that were refused, with the reason, so that operators can count them. */
import { Code, ConnectError } from "@connectrpc/connect";
import { findCallRefusal } from "./call-refusal.ts";
import { WriterOverloadedError } from "./heartbeat-writer.ts";

/** All reasons, so that each can be counted from zero. */
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
 * Reason for which a heartbeat was refused. "report_not_requested" refuses only the installation report in it: its
 * generation was never requested, or never given to the agent.
 */
export type RefusalReason = (typeof refusalReasons)[number];

/** Observer of heartbeats. Its functions must not throw. */
export interface HeartbeatObserver {
  refused(reason: RefusalReason): void;
  /** Called when a stored request could not be decoded, and so was not given to its agent. */
  undecodableRequest(): void;
}

/** Reports to the observer why a call failed with `error`, unless its caller left. */
export function observeRefusal(observer: HeartbeatObserver, error: unknown): void {
  const reason = findReason(error);
  if (reason !== undefined) observer.refused(reason);
}

function findReason(error: unknown): RefusalReason | undefined {
  if (error instanceof WriterOverloadedError) return "overloaded";
  if (error instanceof ConnectError && error.code === Code.FailedPrecondition) return "report_not_requested";
  return findCallRefusal(error);
}
