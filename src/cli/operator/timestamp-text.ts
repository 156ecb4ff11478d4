/** Times of messages, for people. */
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { formatAge, formatTime } from "./time.ts";

/** In full; undefined when there is none. */
export function timeOf(time: Timestamp | undefined): string | undefined {
  return time === undefined ? undefined : formatTime(timestampMs(time));
}

/** How long ago, or until when; `missing` when there is none. */
export function ageOf(time: Timestamp | undefined, missing = "-"): string {
  return time === undefined ? missing : formatAge(timestampMs(time));
}
