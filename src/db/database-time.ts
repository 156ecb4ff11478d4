/**
 * Times as PostgreSQL writes and reads them. PostgreSQL's calendar is longer than those of JavaScript's text form and
 * of google.protobuf.Timestamp, and it has infinity. A row with such a time must not fail the calls that only show it.
 */

const earliestTimeMs = Date.parse("0001-01-01T00:00:00Z");
/**
 * The last time that PostgreSQL, JavaScript's text form and google.protobuf.Timestamp all have, in milliseconds since
 * the epoch.
 */
export const latestTimeMs = Date.parse("9999-12-31T23:59:59.999Z");

/**
 * Parses a time in ISO DateStyle. A time before the year 1 or after 9999, infinity included, becomes the nearest one
 * within these years. Throws RangeError for text that is not such a time.
 */
export function parseDatabaseTime(text: string): Date {
  if (text === "-infinity" || text.endsWith(" BC")) return new Date(earliestTimeMs);
  if (text === "infinity" || /^\d{5}/.test(text)) return new Date(latestTimeMs);
  // Historic offsets have seconds, which JavaScript does not parse.
  const time = new Date(text.replace(/([+-]\d\d:\d\d):\d\d$/, "$1"));
  if (Number.isNaN(time.getTime())) throw new RangeError("PostgreSQL sent a time that is not in ISO DateStyle");
  return bound(time);
}

/**
 * Formats a time for PostgreSQL. A time before the year 1 or after 9999 becomes the nearest one within these years.
 * Throws RangeError for an invalid Date.
 */
export function toDatabaseTime(time: Date): string {
  return bound(time).toISOString();
}

function bound(time: Date): Date {
  return new Date(Math.min(latestTimeMs, Math.max(earliestTimeMs, time.getTime())));
}
