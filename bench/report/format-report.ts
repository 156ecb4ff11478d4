/** Formats the parts of a run as Markdown. */
import { formatMarkdownTable } from "./markdown-table.ts";
import { isReached, type Part, type Table, type Target } from "./part.ts";

/** Returns the report of all parts: first the targets, then every table, then the notes. */
export function formatReport(parts: readonly Part[]): string {
  const targets = parts.flatMap((part) => part.targets);
  const tables = [...(targets.length === 0 ? [] : [toTable(targets)]), ...parts.flatMap((part) => part.tables)];
  const notes = parts.flatMap((part) => part.notes).map((sentence) => `${sentence}\n`);
  return [...tables.map(formatTable), ...notes].join("\n");
}

/** Returns a rounded number with thousands separators. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Returns a value with one decimal and its unit; empty if it was not measured. */
export function formatTenths(value: number | undefined, unit: string): string {
  return value === undefined || Number.isNaN(value) ? "" : `${value.toFixed(1)} ${unit}`;
}

function toTable(targets: readonly Target[]): Table {
  return {
    title: "What is to be reached",
    header: ["figure", "wanted", "measured", "reached"],
    rows: targets.map((target) => {
      const { what, bound, unit = "", value } = target;
      const wanted =
        "atLeast" in bound ? `at least ${format(bound.atLeast, unit)}` : `at most ${format(bound.atMost, unit)}`;
      return Number.isNaN(value)
        ? [what, wanted, "not measured", ""]
        : [what, wanted, format(value, unit), isReached(target) ? "yes" : "no"];
    }),
  };
}

/** Formats a ratio with two decimals, and a value with a unit with one. */
function format(value: number, unit: string): string {
  return unit === "" ? value.toFixed(2) : formatTenths(value, unit);
}

function formatTable({ title, header, rows }: Table): string {
  return `${title}:\n\n${formatMarkdownTable(header, rows)}`;
}
