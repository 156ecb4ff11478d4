/** Reports what became of enrolments, so that operators can count them. */
import { Code, ConnectError } from "@connectrpc/connect";
import { findCallRefusal } from "../call-refusal.ts";

/** All outcomes, so that each can be counted from zero. */
export const enrolmentOutcomes = [
  "waiting",
  "accepted",
  "rejected",
  "no_proof",
  "certificate",
  "signature",
  "clock_skew",
  "authority",
  "unknown_identity",
  "replayed",
  "token_wrong",
  "token_used_up",
  "token_expired",
  "token_revoked",
  "invalid",
  "too_large",
  "overloaded",
  "address_limit",
  "contention",
  "deadline_exceeded",
  "database_away",
  "internal",
] as const;

/** What became of an enrolment: one of the answers, or the reason why it was refused and nothing was stored. */
export type EnrolmentResult = (typeof enrolmentOutcomes)[number];

/** Observer of enrolments. Its function must not throw. */
export interface EnrolmentObserver {
  enrolled(outcome: EnrolmentResult): void;
}

/** Reports to the observer why an enrolment failed with `error`, unless its caller left. */
export function observeEnrolmentFailure(observer: EnrolmentObserver, error: unknown): void {
  const reason = findReason(error);
  if (reason !== undefined) observer.enrolled(reason);
}

function findReason(error: unknown): EnrolmentResult | undefined {
  return findCallRefusal(error) ?? (error instanceof ConnectError ? ownReasons.get(error.code) : undefined);
}

const ownReasons: ReadonlyMap<Code, EnrolmentResult> = new Map([
  [Code.Unimplemented, "invalid"],
  [Code.ResourceExhausted, "too_large"],
]);
