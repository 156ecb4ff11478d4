/**
 * Checks that times and durations are within the limits of google.protobuf.Timestamp and Duration, since protobuf's
 * binary form can carry any numbers.
 */
import { type DescField, type DescMessage, isMessage, type Message } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { badRequest } from "../wire/error-details.ts";

/** Throws ConnectError with `invalid_argument` and BadRequest for the first invalid time or duration in a message. */
export function assertPossibleTimes(schema: DescMessage, message: Message): void {
  if (holdsTimes(schema)) check(reflect(schema, message), "");
}

const schemasWithTimes = new WeakMap<DescMessage, boolean>();

/** Returns whether messages of a type can contain times or durations. Nearly all cannot, and are skipped. */
function holdsTimes(schema: DescMessage): boolean {
  let answer = schemasWithTimes.get(schema);
  if (answer === undefined) {
    // Prevents infinite recursion for a type that contains itself.
    schemasWithTimes.set(schema, false);
    const inner = schema.fields.map((field) => field.message).filter((each) => each !== undefined);
    answer = isTime(schema) || inner.some(holdsTimes);
    schemasWithTimes.set(schema, answer);
  }
  return answer;
}

function isTime({ typeName }: DescMessage): boolean {
  return typeName === TimestampSchema.typeName || typeName === DurationSchema.typeName;
}

function check(message: ReflectMessage, path: string): void {
  const { desc, message: plain } = message;
  if (isMessage(plain, TimestampSchema)) assertTimestamp(plain, path);
  else if (isMessage(plain, DurationSchema)) assertDuration(plain, path);
  else for (const field of desc.fields) if (message.isSet(field)) checkField(message, field, path);
}

function checkField(message: ReflectMessage, field: DescField, path: string): void {
  if (field.message === undefined || !holdsTimes(field.message)) return;
  const place = path === "" ? field.name : `${path}.${field.name}`;
  if (field.fieldKind === "message") check(message.get(field), place);
  if (field.fieldKind === "list") {
    for (const [index, each] of [...message.get(field)].entries()) check(each as ReflectMessage, `${place}[${index}]`);
  }
  if (field.fieldKind === "map") {
    for (const [key, each] of message.get(field)) check(each as ReflectMessage, `${place}[${JSON.stringify(key)}]`);
  }
}

const secondsOfYear1 = -62_135_596_800n;
const secondsOfYear10000 = 253_402_300_800n;
const mostNanos = 999_999_999;

function assertTimestamp({ seconds, nanos }: { seconds: bigint; nanos: number }, path: string): void {
  const isPossible = seconds >= secondsOfYear1 && seconds < secondsOfYear10000 && nanos >= 0 && nanos <= mostNanos;
  if (!isPossible)
    refuse(path, "TIMESTAMP_INVALID", "is no time of the years 1 to 9999 with 0 to 999999999 nanoseconds");
}

const mostDurationSeconds = 315_576_000_000n;

function assertDuration({ seconds, nanos }: { seconds: bigint; nanos: number }, path: string): void {
  const isShort = seconds >= -mostDurationSeconds && seconds <= mostDurationSeconds && Math.abs(nanos) <= mostNanos;
  const isOneWay = seconds === 0n || nanos === 0 || seconds > 0n === nanos > 0;
  if (!isShort || !isOneWay) {
    refuse(
      path,
      "DURATION_INVALID",
      "is not a duration: seconds and nanoseconds must have the same sign, and be at most 10000 years and 999999999 ns",
    );
  }
}

function refuse(field: string, reason: string, description: string): never {
  throw new ConnectError(`${field}: ${description}`, Code.InvalidArgument, undefined, [
    badRequest([{ field, description, reason }]),
  ]);
}
