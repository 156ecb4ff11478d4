/** Formats tables for people. */
import { padTo, widthOf } from "./text-width.ts";

/**
 * Returns one line for the header and one for each row, with columns two spaces apart. The last line also ends in a
 * line feed.
 */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, column) =>
    rows.reduce((width, row) => Math.max(width, widthOf(row[column] ?? "")), widthOf(name)),
  );
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) => padTo(cell, widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}
