/** Finds the field of a binary message that cannot be decoded. protobuf-es itself only reports that decoding failed. */
import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { badRequest } from "./error-details.ts";

/**
 * Returns the error `invalid_argument` with the path of the wrong field for a message that cannot be decoded, or
 * undefined for one that can.
 */
export function findUndecodable(schema: DescMessage, bytes: Uint8Array): ConnectError | undefined {
  const reason = findReason(schema, bytes);
  if (reason === undefined) return undefined;
  const field = findPath(schema, bytes).join(".");
  const description = `cannot be decoded: ${reason}`;
  return new ConnectError(field === "" ? description : `${field}: ${description}`, Code.InvalidArgument, undefined, [
    badRequest([{ field, description, reason: "NOT_DECODABLE" }]),
  ]);
}

function findReason(schema: DescMessage, bytes: Uint8Array): string | undefined {
  try {
    fromBinary(schema, bytes);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Returns the names of the fields down to the innermost message that cannot be decoded although its own fields can. */
function findPath(schema: DescMessage, bytes: Uint8Array): string[] {
  for (const { number, value } of readMessageFields(bytes)) {
    const field = schema.fields.find((candidate) => candidate.number === number);
    if (field?.message === undefined) continue;
    if (findReason(field.message, value) === undefined) continue;
    return [field.name, ...findPath(field.message, value)];
  }
  return [];
}

/** Returns the length-delimited fields of a message, as far as it can be parsed. */
function readMessageFields(bytes: Uint8Array): { number: number; value: Uint8Array }[] {
  const fields: { number: number; value: Uint8Array }[] = [];
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (wireType === WireType.LengthDelimited) fields.push({ number, value: reader.bytes() });
      else reader.skip(wireType, number);
    }
  } catch {
    // Fields before the broken one are still examined.
  }
  return fields;
}
