/** Shows 32-bit floats as they were measured: 0.9, where JavaScript's 64-bit numbers show 0.8999999761581421. */
import { type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";

/** Returns the number with the shortest decimal form that is this 32-bit float. */
export function shortenFloat(value: number): number {
  if (!Number.isFinite(value)) return value;
  const float = Math.fround(value);
  // Nine digits distinguish any two 32-bit floats.
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === float) return short;
  }
  return Number(value.toPrecision(9));
}

/** Shortens every float of a message and of the messages in it, so that its JSON shows them as they were measured. */
export function shortenFloats<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
  if (holdsFloats(schema)) shortenAll(reflect(schema, message));
}

function shortenAll(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === "scalar" && isFloat(field)) message.set(field, shortenFloat(message.get(field) as number));
    const inner = findInner(field);
    if (inner === undefined || !holdsFloats(inner)) continue;
    if (field.fieldKind === "message") shortenAll(message.get(field));
    if (field.fieldKind === "list") for (const element of message.get(field)) shortenAll(element as ReflectMessage);
  }
}

function isFloat(field: DescField): boolean {
  return field.scalar === ScalarType.FLOAT;
}

/** Returns the type of the messages in a field. Ignores messages in maps. */
function findInner(field: DescField): DescMessage | undefined {
  return field.fieldKind === "message" || field.fieldKind === "list" ? field.message : undefined;
}

const known = new WeakMap<DescMessage, boolean>();

/** Returns whether messages of this type may contain a float, at any depth. Most cannot, and are skipped. */
function holdsFloats(desc: DescMessage): boolean {
  let holds = known.get(desc);
  if (holds === undefined) {
    holds = findFloat(desc, new Set());
    known.set(desc, holds);
  }
  return holds;
}

function findFloat(desc: DescMessage, visited: Set<DescMessage>): boolean {
  if (visited.has(desc)) return false;
  visited.add(desc);
  return desc.fields.some((field) => {
    const inner = findInner(field);
    return isFloat(field) || (inner !== undefined && findFloat(inner, visited));
  });
}
