/** Extracts what a failed call tells people and programs. */
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, PreconditionFailureSchema } from "../../gen/google/rpc/error_details_pb.js";

/** Error of a call, with its google.rpc details. */
export interface CallError {
  /** "ok" if the call succeeded. */
  readonly code: string;
  readonly message: string;
  /** Fields that BadRequest names. */
  readonly fields: readonly string[];
  /** Violations of PreconditionFailure, as "TYPE subject". */
  readonly preconditions: readonly string[];
  /** Reasons of ErrorInfo, as "REASON machine". */
  readonly reasons: readonly string[];
}

/** Waits for the call and returns its error. */
export async function errorOf(call: Promise<unknown>): Promise<CallError> {
  try {
    await call;
    return { code: "ok", message: "", fields: [], preconditions: [], reasons: [] };
  } catch (reason) {
    const error = ConnectError.from(reason);
    const fields = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
    const violations = error.findDetails(PreconditionFailureSchema).flatMap((detail) => detail.violations);
    return {
      code: Code[error.code] ?? "unknown code",
      message: error.rawMessage,
      fields: fields.map(({ field }) => field),
      preconditions: violations.map(({ type, subject }) => `${type} ${subject}`),
      reasons: error.findDetails(ErrorInfoSchema).map(({ reason, metadata }) => `${reason} ${metadata.machine_id}`),
    };
  }
}
