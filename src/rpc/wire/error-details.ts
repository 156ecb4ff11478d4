/** Creates error details for programs, in the standard messages of google.rpc (AIP-193). */
import type { ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  RetryInfoSchema,
} from "../../../gen/google/rpc/error_details_pb.js";

/** A detail of an outgoing error. */
export type OutgoingDetail = Extract<ConnectError["details"][number], { desc: unknown }>;

/** Returns a BadRequest for wrong fields of the request. `field` is a path such as "provided.address". */
export function badRequest(
  violations: readonly { readonly field: string; readonly description: string; readonly reason?: string }[],
): OutgoingDetail {
  return { desc: BadRequestSchema, value: { fieldViolations: [...violations] } };
}

/**
 * Returns a PreconditionFailure for a condition that does not hold. `type` is in upper case with underscores; `subject`
 * names the resource.
 */
export function preconditionFailure(violation: {
  readonly type: string;
  readonly subject: string;
  readonly description: string;
}): OutgoingDetail {
  return { desc: PreconditionFailureSchema, value: { violations: [violation] } };
}

/**
 * Returns an ErrorInfo with the reason of an error. `reason` is in upper case with underscores; `metadata` names what
 * it concerns.
 */
export function errorInfo(reason: string, metadata: Readonly<Record<string, string>>): OutgoingDetail {
  return { desc: ErrorInfoSchema, value: { reason, domain: "bmaas", metadata: { ...metadata } } };
}

/** Returns a RetryInfo that says after how many seconds the same call can be tried again. */
export function retryInfo(seconds: number): OutgoingDetail {
  return { desc: RetryInfoSchema, value: { retryDelay: { seconds: BigInt(seconds) } } };
}
