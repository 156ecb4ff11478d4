/** Writes the report of a run into docs/performance.md, and its chart next to it. */
import { readFile, writeFile } from "node:fs/promises";
import { drawCharts } from "./draw-chart.ts";
import type { Part } from "./part.ts";

const page = new URL("../../docs/performance.md", import.meta.url);
const chart = new URL("../../docs/performance.svg", import.meta.url);
const [begin, end] = ["<!-- npm run bench -->\n", "<!-- end of npm run bench -->\n"];

/** Replaces the text between the two marker lines. Throws if they are missing. */
export async function writeReport(report: string, parts: readonly Part[]): Promise<void> {
  const text = await readFile(page, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) {
    throw new Error(`docs/performance.md has no lines ${begin.trim()} and ${end.trim()} to write between`);
  }
  const section = `${begin}\n${report}\n`;
  await writeFile(page, text.slice(0, from) + section + text.slice(to));
  await writeFile(chart, drawCharts(parts.flatMap(({ charts }) => charts)));
}
