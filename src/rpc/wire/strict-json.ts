/**
 * Refuses JSON that protobuf-es would read as a different value than was sent (ProtoJSON,
 * https://protobuf.dev/programming-guides/json): an integer that a double cannot represent, which is rounded; "0x10"
 * for a number; a day that the calendar does not have, which becomes the next one; a duration with trailing text; bytes
 * that are not UTF-8; half a character. Every error text is well-formed, since Connect cannot send any other in
 * grpc-message.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { badRequest } from "./error-details.ts";

/** Decoder by which Connect turns the bytes of a JSON message into text. */
export interface JsonTextDecoder {
  decode(bytes?: Uint8Array): string;
}

/**
 * Creates a decoder for the JSON messages of one type. It throws ConnectError with `invalid_argument`, the path of the
 * first wrong field and google.rpc.BadRequest. Everything else that may be wrong with a message is left to protobuf-es.
 */
export function createStrictDecoder(schema: DescMessage): JsonTextDecoder {
  return {
    decode(bytes) {
      const text = decodeUtf8(bytes);
      const json = parseJson(text, schema);
      checkMessage(schema, json, "");
      if (surrogateEscape.test(text)) assertWellFormed(json);
      return text;
    },
  };
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decodeUtf8(bytes: Uint8Array | undefined): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ConnectError("the message is JSON but not encoded in UTF-8 (RFC 8259 section 8.1)", Code.InvalidArgument);
  }
}

/** Replaces a number that was written with more digits than a double can represent. */
const inexact = Symbol("inexact number");

/** Number of decimal digits that a double can always represent. */
const safeDigits = 15;
const manyDigits = /\d[\d.]{15}/;

/**
 * Returns a JSON value in which `inexact` replaces rounded fractions. Throws ConnectError with `invalid_argument` for
 * invalid JSON.
 */
function parseJson(text: string, { typeName }: DescMessage): unknown {
  try {
    return manyDigits.test(text) ? JSON.parse(text, markInexact as Parameters<typeof JSON.parse>[1]) : JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The parser quotes a part of the text, and may cut a character in two.
    const reason = error.message.toWellFormed();
    throw new ConnectError(`cannot decode message ${typeName} from JSON: ${reason}`, Code.InvalidArgument);
  }
}

/**
 * Reviver for JSON.parse that marks inexact numbers. TypeScript does not know its third argument yet (ECMAScript's
 * "JSON.parse source text access").
 */
function markInexact(_key: string, value: unknown, { source = "" }: { source?: string }): unknown {
  if (typeof value !== "number" || /^-?\d+$/.test(source)) return value;
  const [significand = ""] = source.split(/e/i);
  return significand.replace(/^[-0.]+|\D/g, "").length > safeDigits ? inexact : value;
}

/** Only an escape can bring half a character into a text that was valid UTF-8. */
const surrogateEscape = /\\u[dD][89a-fA-F]/;

/**
 * Throws ConnectError with `invalid_argument` for a text or a name with half a character (RFC 7493 section 2.1). It
 * does not recurse, since JSON of strangers can be nested deeper than the stack.
 */
function assertWellFormed(json: unknown): void {
  const values = [json];
  for (let value = values.pop(); values.length > 0 || value !== undefined; value = values.pop()) {
    if (typeof value === "string" && !value.isWellFormed()) {
      refuse("", "TEXT_NOT_UNICODE", 'holds half a character: a surrogate such as "\\ud800" without the other one');
    }
    if (typeof value === "object" && value !== null) for (const entry of Object.entries(value)) values.push(...entry);
  }
}

/** Type of a value in a field, a list or a map. */
type Kind = DescMessage | ScalarType | undefined;

/** Types whose JSON is that of their contents, not of their fields. */
const shapeless: ReadonlySet<string> = new Set(
  ["Any", "ListValue", "Struct", "Value"].map((name) => `google.protobuf.${name}`),
);

function checkMessage(schema: DescMessage, json: unknown, path: string): void {
  if (isWrapperDesc(schema)) checkScalar(schema.fields[0].scalar, json, path);
  else if (typeof json === "string") checkTime(schema, json, path);
  if (!isObject(json) || shapeless.has(schema.typeName)) return;
  const fields = findFields(schema);
  for (const [key, value] of Object.entries(json)) {
    const field = fields.get(key);
    if (field !== undefined) checkField(field, value, path === "" ? field.name : `${path}.${field.name}`);
  }
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

const fieldsByKey = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** Returns the fields by both of their names. */
function findFields(schema: DescMessage): ReadonlyMap<string, DescField> {
  let fields = fieldsByKey.get(schema);
  if (fields === undefined) {
    fields = new Map(
      schema.fields.flatMap((field) => [field.name, field.jsonName].map((key) => [key, field] as const)),
    );
    fieldsByKey.set(schema, fields);
  }
  return fields;
}

function checkField(field: DescField, json: unknown, path: string): void {
  const kind: Kind = field.message ?? field.scalar;
  if (field.fieldKind === "list") {
    if (!Array.isArray(json)) return;
    for (const [index, value] of json.entries()) checkValue(kind, value, `${path}[${index}]`);
  } else if (field.fieldKind === "map") {
    if (!isObject(json)) return;
    for (const [key, value] of Object.entries(json)) {
      const place = `${path}[${JSON.stringify(key.slice(0, maxShownLength))}]`;
      checkScalar(field.mapKey, key, place);
      checkValue(kind, value, place);
    }
  } else checkValue(kind, json, path);
}

const maxShownLength = 64;

function checkValue(kind: Kind, json: unknown, path: string): void {
  if (typeof kind === "object") checkMessage(kind, json, path);
  else if (kind !== undefined) checkScalar(kind, json, path);
}

const wideIntegers: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);
const fractions: ReadonlySet<ScalarType> = new Set([ScalarType.FLOAT, ScalarType.DOUBLE]);
const noNumbers: ReadonlySet<ScalarType> = new Set([ScalarType.STRING, ScalarType.BYTES, ScalarType.BOOL]);

function checkScalar(scalar: ScalarType, json: unknown, path: string): void {
  if (noNumbers.has(scalar)) return;
  const isInteger = !fractions.has(scalar);
  if (typeof json === "string") {
    if (isInteger && !/^-?(0|[1-9]\d*)$/.test(json)) {
      refuse(path, "INTEGER_NOT_DECIMAL", "is not an integer in plain decimal digits");
    }
    if (!isInteger && !/^(-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?|NaN|-?Infinity)$/i.test(json)) {
      refuse(path, "NUMBER_NOT_DECIMAL", "is not a decimal number");
    }
  } else if (isInteger && json === inexact) {
    refuse(path, "INTEGER_NOT_EXACT", "is not written as an integer");
  } else if (wideIntegers.has(scalar) && typeof json === "number" && !Number.isSafeInteger(json)) {
    refuse(
      path,
      "INTEGER_NOT_EXACT",
      "is not an integer from -(2^53-1) to 2^53-1, the range of JSON numbers: send other integers as a string of digits",
    );
  }
}

function checkTime(schema: DescMessage, text: string, path: string): void {
  if (schema.typeName === "google.protobuf.Timestamp" && !isTimestamp(text)) {
    refuse(path, "TIMESTAMP_INVALID", "is not a time of the calendar in RFC 3339's form, such as 2027-02-28T23:59:59Z");
  }
  if (schema.typeName === "google.protobuf.Duration" && !/^-?\d{1,12}(\.\d{1,9})?s$/.test(text)) {
    refuse(path, "DURATION_INVALID", 'is not a number of seconds with an "s" behind it, such as 1.5s');
  }
}

const timestampForm =
  /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/**
 * Returns whether a text is a valid time of RFC 3339 section 5.6, without the second 60, which protobuf's Timestamp
 * does not have.
 */
function isTimestamp(text: string): boolean {
  const [, day] = timestampForm.exec(text) ?? [];
  if (day === undefined) return false;
  const date = new Date(`${day}T00:00:00Z`);
  // JavaScript reads a day that a month does not have as one of the next month, or as invalid.
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

function refuse(path: string, reason: string, description: string): never {
  throw new ConnectError(`${path === "" ? "the message" : path}: ${description}`, Code.InvalidArgument, undefined, [
    badRequest([{ field: path, description, reason }]),
  ]);
}
