/** What errors say to programs, in the standard messages of google.rpc (AIP-193). */
import type { ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  RetryInfoSchema,
} from "../../../gen/google/rpc/error_details_pb.js";

/** A detail that goes out with an error. */
export type OutgoingDetail = Extract<ConnectError["details"][number], { desc: unknown }>;

/** Fields of the request that are wrong; `field` is a path such as "provided.address". */
export function badRequest(
  violations: readonly { readonly field: string; readonly description: string; readonly reason?: string }[],
): OutgoingDetail {
  return { desc: BadRequestSchema, value: { fieldViolations: [...violations] } };
}

/** A condition that does not hold; `type` in upper case with underscores, `subject` what it is about. */
export function preconditionFailure(violation: {
  readonly type: string;
  readonly subject: string;
  readonly description: string;
}): OutgoingDetail {
  return { desc: PreconditionFailureSchema, value: { violations: [violation] } };
}

/** Why, for programs: `reason` in upper case with underscores, and what it is about. */
export function errorInfo(reason: string, metadata: Readonly<Record<string, string>>): OutgoingDetail {
  return { desc: ErrorInfoSchema, value: { reason, domain: "bmaas", metadata: { ...metadata } } };
}

/** When the same call can be tried again. */
export function retryInfo(seconds: number): OutgoingDetail {
  return { desc: RetryInfoSchema, value: { retryDelay: { seconds: BigInt(seconds) } } };
}
