/**
 * Times as PostgreSQL writes and reads them. Its calendar is longer than that of JavaScript's text form and of
 * google.protobuf.Timestamp, and it knows infinity: a row that holds such a time must not fail the calls that only show
 * it.
 */

const earliestTimeMs = Date.parse("0001-01-01T00:00:00Z");
/** The last time that all of them have, in milliseconds since the epoch. */
export const latestTimeMs = Date.parse("9999-12-31T23:59:59.999Z");

/**
 * Reads a time in ISO DateStyle; one before the year 1 or after 9999, infinity included, is the nearest within. Throws
 * RangeError.
 */
export function parseDatabaseTime(text: string): Date {
  if (text === "-infinity" || text.endsWith(" BC")) return new Date(earliestTimeMs);
  if (text === "infinity" || /^\d{5}/.test(text)) return new Date(latestTimeMs);
  // Offsets of long ago have seconds, which JavaScript does not read.
  const time = new Date(text.replace(/([+-]\d\d:\d\d):\d\d$/, "$1"));
  if (Number.isNaN(time.getTime())) throw new RangeError("PostgreSQL sent a time that is not in ISO DateStyle");
  return bound(time);
}

/**
 * Writes a time; one that PostgreSQL could not read in this form is the nearest that it can. Throws RangeError for an
 * invalid Date.
 */
export function toDatabaseTime(time: Date): string {
  return bound(time).toISOString();
}

function bound(time: Date): Date {
  return new Date(Math.min(latestTimeMs, Math.max(earliestTimeMs, time.getTime())));
}
