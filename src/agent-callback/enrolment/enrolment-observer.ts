/** Reports what became of enrolments, so that operators can count them. */
import { Code, ConnectError } from "@connectrpc/connect";
import { isContention, isDatabaseAway } from "../../db/errors.ts";
import { IdentityRefusedError } from "../identity/agent-identity.ts";
import { isOverloadedError } from "../queues/overloaded-error.ts";
import { AddressLimitError } from "../stranger-limit.ts";

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
  if (error instanceof IdentityRefusedError) return error.refusal;
  if (isOverloadedError(error)) return "overloaded";
  if (error instanceof AddressLimitError) return "address_limit";
  if (isDatabaseAway(error)) return "database_away";
  if (isContention(error)) return "contention";
  if (error instanceof ConnectError) return reasonsByCode.get(error.code);
  return "internal";
}

const reasonsByCode: ReadonlyMap<Code, EnrolmentResult> = new Map([
  [Code.InvalidArgument, "invalid"],
  [Code.Unimplemented, "invalid"],
  [Code.ResourceExhausted, "too_large"],
  [Code.DeadlineExceeded, "deadline_exceeded"],
  [Code.Unavailable, "database_away"],
  [Code.Internal, "internal"],
]);
