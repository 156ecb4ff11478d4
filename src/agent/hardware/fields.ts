/** Converts values from tools and firmware to the range of a report's fields. */

const maxTextLength = 256;
const maxInt64 = 2n ** 63n - 1n;

/** Returns a text of bounded length; "" for another type, and for "-", which means a missing text. */
export function toText(value: unknown): string {
  const text = typeof value === "string" ? value.trim() : "";
  return text === "-" ? "" : text.slice(0, maxTextLength).toWellFormed();
}

/** Returns a positive int32, or 0 for anything else. */
export function toInt32(value: unknown): number {
  const number = Math.trunc(Number(value));
  return number > 0 && number < 2 ** 31 ? number : 0;
}

/** Returns a positive safe integer as an int64, or 0 for anything else. */
export function toInt64(value: unknown): bigint {
  const number = Math.trunc(Number(value));
  return Number.isSafeInteger(number) && number > 0 ? BigInt(number) : 0n;
}

/**
 * Returns a count as an int64, or undefined for anything else. Counters of disks can have more bits; they are limited
 * to the greatest int64.
 */
export function toCounter(value: unknown): bigint | undefined {
  if (typeof value === "string" && /^\d{1,40}$/.test(value)) return min(BigInt(value), maxInt64);
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) return undefined;
  return min(BigInt(Math.trunc(value)), maxInt64);
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
