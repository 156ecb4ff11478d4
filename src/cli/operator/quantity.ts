/** Formats amounts of memory and disk space. */

const prefixes = ["", "k", "M", "G", "T", "P", "E"] as const;

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
