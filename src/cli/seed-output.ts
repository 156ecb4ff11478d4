/**
 * Formats the result of a seed as a table for people and as JSON for programs. `bmaas seed --help` documents the JSON.
 */
import type { Fleet } from "../seed/parse-fleet.ts";
import type { SeededMachine } from "../seed/seed-fleet.ts";
import { summarizeSeed } from "../seed/summarize-seed.ts";
import { formatTable } from "./table.ts";

/** Returns a line for each machine and one that counts them. */
export function formatSeedText(seeded: readonly SeededMachine[], dryRun: boolean): string {
  const header = ["MACHINE ID", "MACHINE", "PROVIDED", "LABELS", "AGENT", "EXPECT", "INSTALL", "GENERATION"];
  const rows = seeded.map(({ machineId, machine, provided, labels, agent, expect, install }) => [
    machineId ?? "(generated when seeded)",
    machine,
    provided ?? "-",
    labels ?? "-",
    agent ?? "-",
    expect ?? "-",
    install === undefined ? "-" : [install.outcome, install.note].filter(Boolean).join(", "),
    install?.generation.toString() ?? "-",
  ]);
  const table = rows.length === 0 ? "" : `${formatTable(header, rows)}\n`;
  return `${table}${formatSummary(seeded)}${dryRun ? "Dry run: nothing was written.\n" : ""}`;
}

/**
 * Returns one JSON object and a line feed. Generations are strings, since many readers of JSON have exact numbers only
 * up to 2^53.
 */
export function formatSeedJson(fleet: Fleet, seeded: readonly SeededMachine[], dryRun: boolean): string {
  const machines = seeded.map(({ index, machineId, machine, provided, labels, agent, expect, install }) => ({
    index,
    line: fleet.lineOf(["machines", index]),
    machineId,
    machine,
    provided: provided ?? null,
    labels: labels ?? null,
    agent: agent ?? null,
    expect: expect ?? null,
    install:
      install === undefined
        ? null
        : { outcome: install.outcome, generation: install.generation.toString(), note: install.note ?? null },
  }));
  return `${JSON.stringify({ dryRun, machines, summary: summarizeSeed(seeded) }, undefined, 2)}\n`;
}

function formatSummary(seeded: readonly SeededMachine[]): string {
  const { machines, created, changed, unchanged, installationsRequested } = summarizeSeed(seeded);
  const installations = `${installationsRequested} ${installationsRequested === 1 ? "installation" : "installations"} requested`;
  return `${machines} ${machines === 1 ? "machine" : "machines"}: ${created} created, ${changed} changed, ${unchanged} unchanged; ${installations}\n`;
}
