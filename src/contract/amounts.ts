/** Amounts as operators write them: durations, and bytes of memory and disks. */

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Longest accepted duration: a century. */
const maxDurationMs = 36_525 * 86_400_000;

/**
 * Parses a number with one of the units s, m, h and d, such as `90s` or `1.5h`, to milliseconds. Throws an error for
 * any other text.
 */
export function parseDurationMs(text: string): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
  const durationMs = Math.round(Number(amount) * (unitsMs[unit] ?? Number.NaN));
  const quoted = JSON.stringify(text.slice(0, 80));
  if (Number.isNaN(durationMs)) throw new Error(`${quoted} is not a duration such as 90s, 15m, 2h or 30d`);
  if (durationMs > maxDurationMs) throw new Error(`${quoted} is longer than a century`);
  return durationMs;
}

const prefixes: readonly string[] = ["", "k", "m", "g", "t", "p", "e"];

const maxBytes = 2n ** 63n - 1n;

/**
 * Parses a number of bytes with or without a unit, such as `16GiB`, `1.5TB` or `500`, without rounding. Throws an error
 * for any other text.
 */
export function parseBytes(text: string): bigint {
  const [, whole = "", fraction = "", prefix = "", binary] =
    /^(\d{1,20})(?:\.(\d{1,12}))? ?(?:([kMGTPE])(i)?)?B?$/i.exec(text) ?? [];
  const power = prefixes.indexOf(prefix.toLowerCase());
  const scaled =
    whole === "" ? -1n : BigInt(whole + fraction) * (binary === undefined ? 1000n : 1024n) ** BigInt(power);
  const divisor = 10n ** BigInt(fraction.length);
  if (scaled < 0n || scaled % divisor !== 0n || scaled / divisor > maxBytes) {
    throw new Error(`${JSON.stringify(text.slice(0, 80))} is not an amount of bytes such as 16GiB or 1TB`);
  }
  return scaled / divisor;
}
