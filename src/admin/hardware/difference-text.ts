/** Formats values of protobuf fields as text that people compare. */
import { type DescEnum, type DescField, ScalarType } from "@bufbuild/protobuf";
import { isReflectList, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { shortenFloat } from "../../base/short-floats.ts";

/** Fields of bytes that hold addresses of network interfaces. */
const addressFields: ReadonlySet<string> = new Set([
  "cloud.agent.api.NetworkInterface.mac",
  "cloud.agent.api.NetworkInterface.long_address",
]);

/**
 * Returns the value of a field that holds no message, with a list's values separated by commas. Returns "" if the
 * message is undefined or the field is not set. A zero that cannot be told from "not set" counts as a value unless
 * `onlySet`.
 */
export function toFieldText(message: ReflectMessage | undefined, field: DescField, onlySet: boolean): string {
  if (message === undefined) return "";
  const isImplicit = field.fieldKind === "scalar" || field.fieldKind === "enum" ? hasNoPresence(field) : false;
  if (!message.isSet(field) && (onlySet || !isImplicit)) return "";
  const value: unknown = message.get(field);
  if (!isReflectList(value)) return toValueText(value, field);
  return Array.from(value, (item) => toValueText(item, field)).join(", ");
}

/** Returns the message's unknown fields in hexadecimal digits, by field number. */
export function toUnknownTexts(message: ReflectMessage | undefined): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { no, data } of message?.getUnknown() ?? []) {
    const number = no.toString();
    const text = Buffer.from(data).toString("hex");
    const earlier = texts.get(number);
    texts.set(number, earlier === undefined ? text : `${earlier}, ${text}`);
  }
  return texts;
}

function hasNoPresence(field: DescField): boolean {
  return field.presence === FeatureSet_FieldPresence.IMPLICIT;
}

/** Returns the text of one value of `field`, or of one element of its list or map. Returns "" for undefined. */
export function toValueText(value: unknown, field: DescField): string {
  if (value === undefined) return "";
  if (value instanceof Uint8Array) {
    const digits = Buffer.from(value).toString("hex");
    return addressFields.has(`${field.parent.typeName}.${field.name}`) ? digits.replaceAll(/..(?=.)/g, "$&:") : digits;
  }
  if (field.enum !== undefined) return toEnumText(value as number, field.enum);
  if (field.scalar === ScalarType.FLOAT) return toFloatText(value as number);
  return String(value);
}

function toEnumText(number: number, { value }: DescEnum): string {
  return value[number]?.name ?? number.toString();
}

/** Returns the number as it was measured, or "unknown" if it is not finite because an agent divided by 0. */
function toFloatText(value: number): string {
  return Number.isFinite(value) ? shortenFloat(value).toString() : "unknown";
}
