/** The parts of a run as Markdown. */
import { formatMarkdownTable } from "./markdown-table.ts";
import { isReached, type Part, type Table, type Target } from "./part.ts";

/** All parts: first what was to be reached, then every table, then the notes. */
export function formatReport(parts: readonly Part[]): string {
  const targets = parts.flatMap((part) => part.targets);
  const tables = [...(targets.length === 0 ? [] : [toTable(targets)]), ...parts.flatMap((part) => part.tables)];
  const notes = parts.flatMap((part) => part.notes).map((sentence) => `${sentence}\n`);
  return [...tables.map(formatTable), ...notes].join("\n");
}

/** A number as people read it. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** With one digit behind the point; empty for what was not measured. */
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

/** Ratios have two digits behind the point, what has a unit one. */
function format(value: number, unit: string): string {
  return unit === "" ? value.toFixed(2) : formatTenths(value, unit);
}

function formatTable({ title, header, rows }: Table): string {
  return `${title}:\n\n${formatMarkdownTable(header, rows)}`;
}
