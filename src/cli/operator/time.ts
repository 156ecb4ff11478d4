/** Parses durations and formats times for operators. */

import { formatDuration, formatInstant } from "../../base/time-text.ts";
import { InvalidValueError } from "../../config/values.ts";

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Longest accepted duration: a century. */
const maxDurationMs = 36_525 * 86_400_000;

/**
 * Parses a number with one of the units s, m, h and d, such as `90s` or `1.5h`, to milliseconds. Throws
 * InvalidValueError.
 */
export function parseDurationMs(text: string): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
  const durationMs = Math.round(Number(amount) * (unitsMs[unit] ?? Number.NaN));
  if (!(durationMs <= maxDurationMs)) {
    throw new InvalidValueError(`${JSON.stringify(text.slice(0, 80))} is not a duration such as 90s, 15m, 2h or 30d`);
  }
  return durationMs;
}

/** Formats the distance of a time from now: "3 min ago", "in 2 h". */
export function formatAge(timeMs: number, nowMs = Date.now()): string {
  const awayMs = timeMs - nowMs;
  // Clocks of two machines may differ by this much.
  if (Math.abs(awayMs) < 1500) return "just now";
  return awayMs < 0 ? `${formatDuration(-awayMs)} ago` : `in ${formatDuration(awayMs)}`;
}

/** Formats a time in full: "2026-03-01 12:00:00Z (3 min ago)". */
export function formatTime(timeMs: number, nowMs = Date.now()): string {
  return `${formatInstant(new Date(timeMs))} (${formatAge(timeMs, nowMs)})`;
}
