/** Brings what tools and firmware say into the range of a report's fields. */

const maxTextLength = 256;

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
