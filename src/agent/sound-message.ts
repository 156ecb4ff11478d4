/** Converts the values in a message's fields, whatever program set them, to values that protobuf can encode. */
import { create, type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf";

/** Maximum length of a text, in UTF-16 code units, and of bytes in one field. */
const maxFieldLength = 1024;

/** Ranges of integers (protobuf's language guide, "Scalar Value Types"). */
const int32 = { min: -(2 ** 31), max: 2 ** 31 - 1 } as const;
const uint32 = { min: 0, max: 2 ** 32 - 1 } as const;
const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n } as const;
const uint64 = { min: 0n, max: 2n ** 64n - 1n } as const;
const maxFloat32 = (2 - 2 ** -23) * 2 ** 127;

type Values = Readonly<Record<string, unknown>>;

/**
 * Returns a new message with the values of `source`: integers are limited to their range, and texts are bounded and
 * well-formed. Values that do not suit their field, floats that are not finite, maps, and fields that the schema does
 * not know are left out.
 */
export function toSoundMessage<Desc extends DescMessage>(schema: Desc, source: MessageShape<Desc>): MessageShape<Desc> {
  return toSound(schema, source as unknown as Values) as MessageShape<Desc>;
}

function toSound(schema: DescMessage, source: Values) {
  const target = create(schema) as unknown as Record<string, unknown>;
  for (const member of schema.members) {
    if (member.kind === "oneof") {
      const { case: name, value } = (source[member.localName] ?? {}) as { case?: unknown; value?: unknown };
      const chosen = member.fields.find((field) => field.localName === name);
      const sound = chosen && toSoundValue(chosen, value);
      if (chosen !== undefined && sound !== undefined) target[member.localName] = { case: name, value: sound };
    } else {
      const sound = toSoundValue(member, source[member.localName]);
      if (sound !== undefined) target[member.localName] = sound;
    }
  }
  return target;
}

function toSoundValue(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case "list":
      return Array.isArray(value)
        ? value.map((element) => toSoundSingle(field, element)).filter((element) => element !== undefined)
        : undefined;
    case "map":
      return undefined;
    default:
      return toSoundSingle(field, value);
  }
}

/** Converts one value of a field or of a list. */
function toSoundSingle({ message, enum: values, scalar }: DescField, value: unknown): unknown {
  if (message !== undefined)
    return typeof value === "object" && value !== null ? toSound(message, value as Values) : undefined;
  if (values !== undefined) return clampNumber(value, int32);
  return scalar === undefined ? undefined : toSoundScalar(scalar, value);
}

function toSoundScalar(scalar: ScalarType, value: unknown): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return typeof value === "string" ? toSoundText(value) : undefined;
    case ScalarType.BYTES:
      return value instanceof Uint8Array ? value.slice(0, maxFieldLength) : undefined;
    case ScalarType.BOOL:
      return typeof value === "boolean" ? value : undefined;
    case ScalarType.DOUBLE:
      return Number.isFinite(value) ? value : undefined;
    case ScalarType.FLOAT:
      return Number.isFinite(value) ? Math.max(-maxFloat32, Math.min(maxFloat32, value as number)) : undefined;
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return clampNumber(value, uint32);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return clampBigInt(value, uint64);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return clampBigInt(value, int64);
    default:
      return clampNumber(value, int32);
  }
}

/** Returns a text that can be encoded, of bounded length. */
export function toSoundText(text: string): string {
  return text.slice(0, maxFieldLength).toWellFormed();
}

function clampNumber(value: unknown, { min, max }: { min: number; max: number }): number | undefined {
  if ((typeof value !== "number" && typeof value !== "bigint") || Number.isNaN(value)) return undefined;
  return Math.max(min, Math.min(max, Math.trunc(Number(value))));
}

function clampBigInt(value: unknown, { min, max }: { min: bigint; max: bigint }): bigint | undefined {
  const whole = toBigInt(value, max);
  if (whole === undefined) return undefined;
  return whole < min ? min : whole > max ? max : whole;
}

function toBigInt(value: unknown, max: bigint): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value !== "number" || Number.isNaN(value)) return undefined;
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : value > 0 ? max : -max;
}
