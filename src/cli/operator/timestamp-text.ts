/** Formats times in messages for people. */
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { formatAge, formatTime } from "./time.ts";

/** Returns the time in full, or undefined without a time. */
export function timeOf(time: Timestamp | undefined): string | undefined {
  return time === undefined ? undefined : formatTime(timestampMs(time));
}

/** Returns the time's distance from now, or `missing` without a time. */
export function ageOf(time: Timestamp | undefined, missing = "-"): string {
  return time === undefined ? missing : formatAge(timestampMs(time));
}
