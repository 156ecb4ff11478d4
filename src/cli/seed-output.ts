/**
 * Formats the result of a seed as a table for people and as JSON for programs, machine by machine. `bmaas seed --help`
 * documents the JSON.
 */
import type { SeededFleet, SeededMachine } from "../seed/seeded-fleet.ts";
import { type SeedSummary, SeedSummaryCount } from "../seed/summarize-seed.ts";
import { formatTable } from "./table.ts";

/** Number of machines that are printed at once. */
const pageSize = 1_000;

const header = ["MACHINE ID", "MACHINE", "PROVIDED", "LABELS", "AGENT", "EXPECT", "INSTALL", "GENERATION"];

/** Returns a table with a line for each machine, and a line that counts them, in parts. */
export async function* formatSeedText(seeded: SeededFleet, dryRun: boolean): AsyncGenerator<string> {
  const count = new SeedSummaryCount();
  // The columns are as wide as their widest cell, which may be in the last machine's row.
  let widest = header;
  for await (const machine of seeded.list()) {
    count.add(machine);
    widest = toRow(machine).map((cell, column) => widerOf(cell, widest[column] ?? ""));
  }
  if (count.summary.machines > 0) yield formatTable(header, [widest]).split("\n", 1)[0]?.concat("\n") ?? "";
  for await (const page of pagesOf(seeded.list())) {
    const lines = formatTable(widest, page.map(toRow));
    yield lines.slice(lines.indexOf("\n") + 1);
  }
  yield formatSummary(count.summary);
  if (dryRun) yield "Dry run: nothing was written.\n";
}

function widerOf(a: string, b: string): string {
  return a.length > b.length ? a : b;
}

function toRow({ machineId, machine, provided, labels, agent, expect, install }: SeededMachine): string[] {
  return [
    machineId ?? "(generated when seeded)",
    machine,
    provided ?? "-",
    labels ?? "-",
    agent ?? "-",
    expect ?? "-",
    install === undefined ? "-" : [install.outcome, install.note].filter(Boolean).join(", "),
    install?.generation.toString() ?? "-",
  ];
}

/**
 * Returns one JSON object and a line feed, in parts. Generations are strings, since many readers of JSON have exact
 * numbers only up to 2^53.
 */
export async function* formatSeedJson(seeded: SeededFleet, dryRun: boolean): AsyncGenerator<string> {
  const count = new SeedSummaryCount();
  yield `{\n  "dryRun": ${dryRun},\n  "machines": [`;
  let separator = "";
  for await (const page of pagesOf(seeded.list())) {
    let text = "";
    for (const machine of page) {
      count.add(machine);
      text += `${separator}\n${indent(JSON.stringify(toJson(machine), undefined, 2), "    ")}`;
      separator = ",";
    }
    yield text;
  }
  const summary = indent(JSON.stringify(count.summary, undefined, 2), "  ").trimStart();
  yield `${separator === "" ? "" : "\n  "}],\n  "summary": ${summary}\n}\n`;
}

function toJson({ index, line, machineId, machine, provided, labels, agent, expect, install }: SeededMachine) {
  return {
    ...{ index, line, machineId, machine },
    provided: provided ?? null,
    labels: labels ?? null,
    agent: agent ?? null,
    expect: expect ?? null,
    install:
      install === undefined
        ? null
        : { outcome: install.outcome, generation: install.generation.toString(), note: install.note ?? null },
  };
}

function indent(text: string, spaces: string): string {
  return text.replaceAll(/^/gm, spaces);
}

async function* pagesOf(machines: AsyncIterable<SeededMachine>): AsyncGenerator<SeededMachine[]> {
  let page: SeededMachine[] = [];
  for await (const machine of machines) {
    page.push(machine);
    if (page.length < pageSize) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

function formatSummary({ machines, created, changed, unchanged, installationsRequested }: SeedSummary): string {
  const installations = `${installationsRequested} ${installationsRequested === 1 ? "installation" : "installations"} requested`;
  return `${machines} ${machines === 1 ? "machine" : "machines"}: ${created} created, ${changed} changed, ${unchanged} unchanged; ${installations}\n`;
}
