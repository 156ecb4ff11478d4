/** Which reason operators count for a call that failed. */
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import {
  type EnrolmentResult,
  observeEnrolmentFailure,
} from "../../src/agent-callback/enrolment/enrolment-observer.ts";
import { observeRefusal, type RefusalReason } from "../../src/agent-callback/heartbeat-observer.ts";
import { WriterOverloadedError } from "../../src/agent-callback/heartbeat-writer.ts";
import { IdentityRefusedError } from "../../src/agent-callback/identity/agent-identity.ts";
import { getOverloadedError } from "../../src/agent-callback/queues/overloaded-error.ts";

const codeError = (code: Code) => new ConnectError("", code);

test.each<[string, unknown, RefusalReason | undefined, EnrolmentResult | undefined]>([
  ["a caller that left", new DOMException("left", "AbortError"), undefined, undefined],
  ["a caller that canceled", codeError(Code.Canceled), undefined, undefined],
  ["no proof", new IdentityRefusedError("no_proof", ""), "no_proof", "no_proof"],
  ["too many calls", getOverloadedError(5), "overloaded", "overloaded"],
  ["too many heartbeats for the writer", new WriterOverloadedError(), "overloaded", "internal"],
  ["an invalid message", codeError(Code.InvalidArgument), "invalid", "invalid"],
  ["a message that is too large", codeError(Code.ResourceExhausted), undefined, "too_large"],
  ["a report of what was not given", codeError(Code.FailedPrecondition), "report_not_requested", undefined],
  ["a deadline", codeError(Code.DeadlineExceeded), "deadline_exceeded", "deadline_exceeded"],
  ["a fault", new TypeError("null"), "internal", "internal"],
])("%s", (_what, error, heartbeat, enrolment) => {
  const counted: { heartbeat?: RefusalReason; enrolment?: EnrolmentResult } = {};
  observeRefusal({ refused: (reason) => (counted.heartbeat = reason), undecodableRequest: () => {} }, error);
  observeEnrolmentFailure({ enrolled: (outcome) => (counted.enrolment = outcome) }, error);
  expect(counted).toEqual({ ...(heartbeat && { heartbeat }), ...(enrolment && { enrolment }) });
});
