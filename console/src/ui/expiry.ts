/** How long something new is valid, in the words of the command line's --expires. */
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";

/** How long something can be valid: the duration as the command line has it, and what it is called. */
export const expiries = [
  ["1h", "1 hour"],
  ["1d", "1 day"],
  ["7d", "7 days"],
  ["30d", "30 days"],
  ["90d", "90 days"],
  ["365d", "1 year"],
] as const;

const unitsMs = { h: 3_600_000, d: 86_400_000 } as const;

/** Returns a duration of `expiries` in milliseconds. */
export function toDurationMs(duration: string): number {
  const [, count = "0", unit = "d"] = /^(\d+)([hd])$/.exec(duration) ?? [];
  return Number(count) * unitsMs[unit as keyof typeof unitsMs];
}

/** Returns when something expires that is created now and valid for a duration of `expiries`. */
export function toExpireTime(duration: string): Timestamp {
  return timestampFromMs(Date.now() + toDurationMs(duration));
}
