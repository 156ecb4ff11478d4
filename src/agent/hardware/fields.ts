/** Brings what tools and firmware say into the range of a report's fields. */

const maxTextLength = 256;
const maxInt64 = 2n ** 63n - 1n;

/** A text of bounded length; "" for what stands in for a missing one. */
export function toText(value: unknown): string {
  const text = typeof value === "string" ? value.trim() : "";
  return text === "-" ? "" : text.slice(0, maxTextLength).toWellFormed();
}

/** An int32 that is not negative; 0 for what is not one. */
export function toInt32(value: unknown): number {
  const number = Math.trunc(Number(value));
  return number > 0 && number < 2 ** 31 ? number : 0;
}

/** An int64 that is not negative; 0 for what is not one. */
export function toInt64(value: unknown): bigint {
  const number = Math.trunc(Number(value));
  return Number.isSafeInteger(number) && number > 0 ? BigInt(number) : 0n;
}

/**
 * A count for an int64: at most the greatest one, since counters of disks have more bits; undefined for what is no
 * count.
 */
export function toCounter(value: unknown): bigint | undefined {
  if (typeof value === "string" && /^\d{1,40}$/.test(value)) return min(BigInt(value), maxInt64);
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) return undefined;
  return min(BigInt(Math.trunc(value)), maxInt64);
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
