/** Values of protobuf fields as text that people compare. */
import { type DescEnum, type DescField, ScalarType } from "@bufbuild/protobuf";
import { isReflectList, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { shortenFloat } from "../../base/short-floats.ts";

/** Fields of bytes that are addresses of network interfaces. */
const addressFields: ReadonlySet<string> = new Set([
  "cloud.agent.api.NetworkInterface.mac",
  "cloud.agent.api.NetworkInterface.long_address",
]);

/**
 * The value of a field that holds no message; a list's values are separated by commas. Empty for a message that is not there, and
 * for a field that is not set and says so; a zero that cannot be told from "not set" counts as a value unless `onlySet`.
 */
export function toFieldText(message: ReflectMessage | undefined, field: DescField, onlySet: boolean): string {
  if (message === undefined) return "";
  const isImplicit = field.fieldKind === "scalar" || field.fieldKind === "enum" ? hasNoPresence(field) : false;
  if (!message.isSet(field) && (onlySet || !isImplicit)) return "";
  const value: unknown = message.get(field);
  if (!isReflectList(value)) return toValueText(value, field);
  return Array.from(value, (item) => toValueText(item, field)).join(", ");
}

/** What a message holds that this program has no name for, in hexadecimal digits, by the field's number. */
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

/** One value that `field` holds, of a list or a map one of them; empty for undefined. */
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

/** As it was measured, or "unknown" for what an agent divided by 0. */
function toFloatText(value: number): string {
  return Number.isFinite(value) ? shortenFloat(value).toString() : "unknown";
}
