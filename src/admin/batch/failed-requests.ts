/** Tells which requests of a batch failed and why: in the call's error if the batch is atomic, else in its answer. */
import { create, isMessage, type MessageShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { type BadRequest, BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { badRequest, type OutgoingDetail } from "../../rpc/wire/error-details.ts";

/** Why a request of a batch failed. */
export interface RequestFailure {
  /** The error of the method for one machine. */
  readonly error: ConnectError;
  /** Path of the field in the request that the error is about, if it names none itself. */
  readonly field: string;
}

/** Failures by the index of their request. */
export type RequestFailures = ReadonlyMap<number, RequestFailure>;

type Violations = BadRequest["fieldViolations"];

/**
 * Maximum number of failed requests and characters of text that an error names. gRPC puts errors into a header, of
 * which many clients read no more than 8 KiB.
 */
const maxNamed = 10;
const maxText = 200;

/** Returns the error of an atomic batch: that of its first failed request, with the fields of all. */
export function toBatchError(failures: RequestFailures): ConnectError {
  const [first, ...others] = [...failures].toSorted(([a], [b]) => a - b);
  if (first === undefined) throw new Error("a batch without failures has no error");
  const [index, { error }] = first;
  const more = others.length === 0 ? "" : `; and ${others.length} more of its requests failed`;
  const named = [first, ...others].flatMap(([each, failure]) => listViolations(each, failure));
  const violations = named.slice(0, maxNamed).map((each) => ({ ...each, description: cut(each.description) }));
  const details = outgoing(error).filter((detail) => !isBadRequest(detail));
  const message = `${placeOf(index)}: ${error.rawMessage}${more}: nothing was changed`;
  return new ConnectError(message, error.code, error.metadata, [badRequest(violations), ...details], error.cause);
}

/** Returns the failures as statuses with the same code, message and details as the method for one machine has. */
export function toStatuses(failures: RequestFailures): Record<number, Status> {
  const statuses = [...failures].map(([index, { error }]) => {
    const details = outgoing(error).map((detail) =>
      isBadRequest(detail) ? badRequest(locate(index, detail)) : detail,
    );
    const packed = details.map(({ desc, value }) => anyPack(desc, create(desc, value)));
    return [index, create(StatusSchema, { code: error.code, message: error.rawMessage, details: packed })];
  });
  return Object.fromEntries(statuses);
}

function listViolations(index: number, { error, field }: RequestFailure): Violations {
  const named = outgoing(error).flatMap((detail) => (isBadRequest(detail) ? locate(index, detail) : []));
  if (named.length > 0) return named;
  const { fieldViolations } = toBadRequest(badRequest([{ field, description: error.rawMessage }]));
  return fieldViolations.map((each) => ({ ...each, field: `${placeOf(index)}.${field}` }));
}

/** Returns the violations with the fields' paths in the batch. */
function locate(index: number, detail: OutgoingDetail): Violations {
  const place = placeOf(index);
  return toBadRequest(detail).fieldViolations.map((each) => ({
    ...each,
    field: each.field === "" ? place : `${place}.${each.field}`,
  }));
}

function placeOf(index: number): string {
  return `requests[${index}]`;
}

function isBadRequest({ desc }: OutgoingDetail): boolean {
  return desc.typeName === BadRequestSchema.typeName;
}

function toBadRequest({ value }: OutgoingDetail): MessageShape<typeof BadRequestSchema> {
  return isMessage(value, BadRequestSchema) ? value : create(BadRequestSchema, value);
}

function outgoing(error: ConnectError): OutgoingDetail[] {
  return error.details.filter((detail): detail is OutgoingDetail => "desc" in detail);
}

function cut(text: string): string {
  return text.length <= maxText ? text : `${text.slice(0, maxText).toWellFormed()}…`;
}
