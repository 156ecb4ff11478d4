/** Formats times for operators. */

import { formatDuration, formatInstant } from "../../base/time-text.ts";

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
