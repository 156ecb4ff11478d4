/** Parses and formats amounts of memory and disk space. */
import { InvalidValueError } from "../../config/values.ts";

const prefixes = ["", "k", "M", "G", "T", "P", "E"] as const;

const max = 2n ** 63n - 1n;

/**
 * Parses a number of bytes with or without a unit, such as `16GiB`, `1.5TB` or `500`, without rounding. Throws
 * InvalidValueError.
 */
export function parseBytes(text: string): bigint {
  const [, whole = "", fraction = "", prefix = "", binary] =
    /^(\d{1,20})(?:\.(\d{1,12}))? ?(?:([kMGTPE])(i)?)?B?$/i.exec(text) ?? [];
  const power = prefixes.findIndex((known) => known.toLowerCase() === prefix.toLowerCase());
  const scaled =
    whole === "" ? -1n : BigInt(whole + fraction) * (binary === undefined ? 1000n : 1024n) ** BigInt(power);
  const divisor = 10n ** BigInt(fraction.length);
  if (scaled < 0n || scaled % divisor !== 0n || scaled / divisor > max) {
    throw new InvalidValueError(`${JSON.stringify(text.slice(0, 80))} is not an amount of bytes such as 16GiB or 1TB`);
  }
  return scaled / divisor;
}

/** Formats memory in binary units with three digits: "256 GiB". */
export function formatMemory(bytes: bigint): string {
  return formatBytes(Number(bytes), 1024, "iB");
}

/** Formats disk space in decimal units, as disks are sold: "1.92 TB". */
export function formatCapacity(bytes: bigint): string {
  return formatBytes(Number(bytes), 1000, "B");
}

function formatBytes(bytes: number, base: number, unit: string): string {
  let amount = bytes;
  let power = 0;
  while (round(amount) >= base && power < prefixes.length - 1) {
    amount /= base;
    power += 1;
  }
  if (power === 0) return `${amount} B`;
  const prefix = base === 1024 && power === 1 ? "K" : prefixes[power];
  return `${round(amount)} ${prefix}${unit}`;
}

/** Rounds to three digits, or to four, since binary units reach 1023. */
function round(amount: number): number {
  return amount >= 100 ? Math.round(amount) : Number(amount.toPrecision(3));
}
