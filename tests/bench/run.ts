/**
 * `npm run bench`: servers side by side under the same load, in one run, as a table. `--write` puts the table and a chart of it into
 * docs/performance.md; `--rounds` and `--seconds` say how long. See there.
 */
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { comparisons } from "./wire/comparisons.ts";
import { measure } from "./wire/measure.ts";
import { drawChart, formatTables, type Result } from "./wire/report.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    write: { type: "boolean", default: false },
  },
});
const effort = { rounds: toPositive("rounds", values.rounds), seconds: toPositive("seconds", values.seconds) };

const missing = comparisons
  .map(({ tool }) => tool)
  .filter((tool) => spawnSync(tool, ["--version"]).error !== undefined);
if (missing.length > 0) {
  fail(
    `${missing.join(" and ")} cannot be run: install Debian's packages nghttp2-client (h2load) and wrk, or their like`,
  );
}

const results: Result[] = [];
for (const comparison of comparisons) {
  process.stderr.write(`${comparison.title} …\n`);
  results.push({ comparison, measured: await measure(comparison, effort) });
}

const machine = `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Node ${process.versions.node}`;
const report = `${machine}; ${effort.rounds} rounds of ${effort.seconds} s for each server, load and servers on the same cores.\n\n${formatTables(results)}`;
process.stdout.write(report);
if (values.write) await write();

async function write(): Promise<void> {
  const page = new URL("../../docs/performance.md", import.meta.url);
  const text = await readFile(page, "utf8");
  const [begin, end] = ["<!-- npm run bench -->\n", "<!-- end of npm run bench -->\n"];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from)
    fail(`docs/performance.md has no lines ${begin.trim()} and ${end.trim()} to write between`);
  const section = `${begin}\n${report}\n![The medians as bars](wire.svg)\n\n`;
  await writeFile(page, text.slice(0, from) + section + text.slice(to));
  await writeFile(new URL("../../docs/wire.svg", import.meta.url), drawChart(results));
}

function toPositive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) fail(`--${name}: "${text}" is not a number from 1 up`);
  return value;
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
