/** Messages of any type with random fields, from what the contract says about them. */
import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { Random } from "../random.ts";

/** Ids that mean something to the server. */
export interface KnownIds {
  readonly machineIds: readonly string[];
  /** Secrets of join tokens. */
  readonly joinTokens: readonly string[];
}

/** Messages within messages end here. */
const maxDepth = 4;

/** Draws a message whose fields are set, left out, sensible or absurd. */
export function drawMessage(random: Random, type: DescMessage, known: KnownIds): Message {
  const message = create(type);
  fill(random, reflect(type, message, false), known, 0);
  return message;
}

function fill(random: Random, message: ReflectMessage, known: KnownIds, depth: number): void {
  for (const member of message.members) {
    const field = member.kind === "oneof" ? random.pick(member.fields) : member;
    if (random.chance(isIdentifying(field) ? 0.95 : 0.5)) setField(random, message, field, known, depth);
  }
}

function isIdentifying({ name }: DescField): boolean {
  return name === "machine_id" || name === "machine_ids";
}

function setField(random: Random, message: ReflectMessage, field: DescField, known: KnownIds, depth: number): void {
  switch (field.fieldKind) {
    case "list": {
      const list = message.get(field);
      for (let left = drawCount(random); left > 0; left--) {
        if (field.listKind === "enum") list.add(drawEnum(random, field.enum.values));
        else if (field.listKind === "scalar") list.add(drawScalar(random, field, field.scalar, known));
        else if (depth < maxDepth) list.add(drawInner(random, field.message, known, depth));
      }
      return;
    }
    case "map": {
      const map = message.get(field);
      for (let left = drawCount(random); left > 0; left--) {
        const key = drawScalar(random, field, field.mapKey, known) as string;
        if (field.mapKind === "scalar") map.set(key, drawScalar(random, field, field.scalar, known));
      }
      return;
    }
    case "message":
      if (depth < maxDepth) message.set(field, drawInner(random, field.message, known, depth));
      return;
    case "enum":
      message.set(field, drawEnum(random, field.enum.values));
      return;
    case "scalar":
      message.set(field, drawScalar(random, field, field.scalar, known));
  }
}

function drawInner(random: Random, type: DescMessage, known: KnownIds, depth: number): ReflectMessage {
  const inner = reflect(type, undefined, false);
  fill(random, inner, known, depth + 1);
  return inner;
}

function drawCount(random: Random): number {
  return random.chance(0.05) ? random.between(4, 60) : random.below(4);
}

/** Numbers that the contract does not know are allowed on the wire. */
function drawEnum(random: Random, values: readonly { readonly number: number }[]): number {
  return random.chance(0.9) ? random.pick(values).number : random.below(100);
}

function drawScalar(random: Random, field: DescField, type: ScalarType, known: KnownIds): unknown {
  switch (type) {
    case ScalarType.STRING:
      return drawString(random, field, known);
    case ScalarType.BYTES:
      return random.bytes(random.pick([0, 1, 8, 31, 32, 32, 32, 33, 64, random.below(300)]));
    case ScalarType.BOOL:
      return random.chance(0.5);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return random.pick([0, -0, 0.5, 1, -1, 1e30, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return random.pick([0n, 1n, 2n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), BigInt(random.below(1000))]);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return random.pick([0n, 1n, 2n ** 53n + 1n, 2n ** 64n - 1n, BigInt(random.below(1000))]);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return random.pick([0, 1, 2 ** 32 - 1, random.below(1000)]);
    default:
      return random.pick([0, 1, 7, 100, -1, 2 ** 31 - 1, -(2 ** 31), random.below(1000)]);
  }
}

const texts: readonly string[] = [
  ...["", " ", "a", "sda", "lab", "rack-3", "0", "-1", "null", "\0", "\u202e", "\ud83d\ude00", "é".repeat(40)],
  ...["https://images.example/os.img", `sha256:${"ab".repeat(32)}`, "2027-02-30T00:00:00Z", "'; --", "%s%n", "\x1b[2J"],
];

function drawString(random: Random, field: DescField, known: KnownIds): string {
  if (isIdentifying(field) && random.chance(0.85)) return random.pick(known.machineIds);
  if (field.name === "join_token" && random.chance(0.7)) return random.pick(known.joinTokens);
  if (random.chance(0.1)) return drawUuid(random);
  if (random.chance(0.05)) return "x".repeat(Math.floor(random.logBetween(10, 20_000)));
  return random.pick(texts);
}

/** Of nobody. */
export function drawUuid(random: Random): string {
  const hex = random.bytes(16).toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
