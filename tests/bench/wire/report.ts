/** The comparisons of one run as a table in Markdown and as a chart. */
import type { Comparison } from "./comparisons.ts";
import { type Measured, median, ratio } from "./measure.ts";

/** One comparison with what was seen. */
export interface Result {
  readonly comparison: Comparison;
  readonly measured: readonly Measured[];
}

/** A table with a row for each server of each comparison. */
export function formatTables(results: readonly Result[]): string {
  const header = ["server", "calls/s, median", "from, to", "lane / it", "at least", "server's CPU per call"];
  return results
    .map(({ comparison, measured }) => `${comparison.title}:\n\n${formatRows(header, toRows(comparison, measured))}`)
    .join("\n");
}

function toRows({ servers, targets }: Comparison, measured: readonly Measured[]): string[][] {
  const [lane] = measured;
  return measured.map((each) => [
    servers[each.server] ?? each.server,
    count(median(each.rates)),
    `${count(Math.min(...each.rates))}, ${count(Math.max(...each.rates))}`,
    lane === undefined || lane === each ? "" : ratio(lane, each).toFixed(2),
    targets[each.server]?.toFixed(2) ?? "",
    each.cpuMicroseconds === undefined ? "" : `${each.cpuMicroseconds.toFixed(1)} µs`,
  ]);
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** As Biome formats it, so that the documents' check holds. */
function formatRows(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, column) =>
    Math.max(...[header, ...rows].map((row) => (row[column] ?? name).length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |\n`;
  return line(header) + line(widths.map((width) => "-".repeat(width))) + rows.map(line).join("");
}

const chart = { width: 760, labelWidth: 210, barHeight: 22, gap: 8, titleHeight: 34 };

/** Bars of the medians, in colours that can be read on light and on dark. */
export function drawChart(results: readonly Result[]): string {
  const parts: string[] = [];
  let y = 10;
  for (const { comparison, measured } of results) {
    parts.push(`<text x="10" y="${y + 18}" font-weight="bold">${escapeText(`${comparison.title}, calls/s`)}</text>`);
    y += chart.titleHeight;
    const most = Math.max(...measured.map(({ rates }) => median(rates)));
    for (const { server, rates } of measured) {
      const rate = median(rates);
      const length = ((chart.width - chart.labelWidth - 90) * rate) / most;
      const baseline = y + chart.barHeight - 6;
      parts.push(
        `<text x="${chart.labelWidth - 10}" y="${baseline}" text-anchor="end">${escapeText(comparison.servers[server] ?? server)}</text>`,
        `<rect x="${chart.labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${chart.barHeight}" fill="${server === "lane" ? "#2f7ed8" : "#8a94a3"}"/>`,
        `<text x="${(chart.labelWidth + length + 8).toFixed(1)}" y="${baseline}">${count(rate)}</text>`,
      );
      y += chart.barHeight + chart.gap;
    }
    y += chart.gap;
  }
  const style = 'font-family="sans-serif" font-size="14" fill="#7a828e"';
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${chart.width}" height="${y}" viewBox="0 0 ${chart.width} ${y}">\n<title>Calls a second, medians</title>\n<g ${style}>\n${parts.join("\n")}\n</g>\n</svg>\n`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
