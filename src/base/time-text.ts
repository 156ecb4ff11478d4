/** Formats times and durations for people. */

/** Returns a duration with about two digits, such as "42 s", "3 min", "5 h" or "12 d". */
export function formatDuration(durationMs: number): string {
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 120 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** Returns a time in UTC to the second, such as "2026-03-01 12:00:00Z". */
export function formatInstant(time: Date): string {
  return time.toISOString().replace("T", " ").replace(/\.\d+/, "");
}
