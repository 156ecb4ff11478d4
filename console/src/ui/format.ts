/** Numbers, sizes and durations as the reader's locale writes them. A number and its unit stand on one line. */

const counts = new Intl.NumberFormat();
const figures = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

/** Formats a whole number, such as "100,000" or "100.000". */
export function formatCount(count: number | bigint): string {
  return counts.format(count);
}

/** Formats a figure with three significant digits. */
export function formatFigure(figure: number): string {
  return figures.format(figure);
}

/** Joins a number and its unit so that no line ends between them. */
export function withUnit(number: string, unit: string): string {
  return `${number}\u00a0${unit}`;
}

const byteUnits = ["B", "KB", "MB", "GB", "TB", "PB", "EB"] as const;

/** Formats bytes by powers of 1000, as disks are sold. Memory is given by powers of 1024, with `binary`. */
export function formatBytes(bytes: number | bigint, base: "decimal" | "binary" = "decimal"): string {
  const step = base === "decimal" ? 1000 : 1024;
  let size = Number(bytes);
  let unit = 0;
  while (size >= step && unit < byteUnits.length - 1) {
    size /= step;
    unit += 1;
  }
  const name = byteUnits[unit] ?? "B";
  return withUnit(formatFigure(size), base === "decimal" || unit === 0 ? name : `${name[0]}iB`);
}

const durationUnits = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
] as const;

/** Formats a duration in its two largest units, such as "3 h 5 min". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const first = durationUnits.findIndex(([size]) => whole >= size);
  if (first === -1) return withUnit("0", "s");
  const [size, name] = durationUnits[first] ?? [1, "s"];
  const [nextSize, nextName] = durationUnits[first + 1] ?? [0, ""];
  const rest = nextSize === 0 ? 0 : Math.floor((whole % size) / nextSize);
  const head = withUnit(formatCount(Math.floor(whole / size)), name);
  return rest === 0 ? head : `${head} ${withUnit(String(rest), nextName)}`;
}

/** Writes bytes as hexadecimal digits. */
export function formatHex(bytes: Uint8Array, separator = ""): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(separator);
}
