/** The report of a run, for people. */
import type { CampaignResult } from "./campaign.ts";
import type { Fault } from "./faults.ts";
import { readMemory } from "./judge.ts";
import type { Options } from "./options.ts";
import type { Latencies } from "./witness.ts";

/** Suspects that are listed at most. */
const shownSuspects = 40;

/** The whole report. */
export function formatReport(options: Options, result: CampaignResult): string {
  const { inputs, seconds, faults, kinds, witness, samples, loggedBytes, cpuSeconds } = result;
  const verdict = faults.length === 0 ? "no fault" : `${faults.length} kind${faults.length === 1 ? "" : "s"} of faults`;
  const lines = [
    `${verdict}; seed ${options.seed}, ${inputs} inputs in ${seconds.toFixed(1)} s`,
    ...[...kinds].sort(([, a], [, b]) => b - a).map(([name, count]) => `  ${count.toString().padStart(8)} ${name}`),
    "",
    "  answers to good callers        agents: calls   p50     p99     most    operators: calls   p50     p99     most",
    ...witness.phases.map(
      ({ name, agents, operators }) =>
        `  ${name.padEnd(24)}${formatLatencies(agents, 21)}${formatLatencies(operators, 19)}`,
    ),
    `  good calls refused for load: ${witness.refusals}`,
    ...readMemory(samples).map(
      ({ first, warm, last, most }, index) =>
        `  memory of server ${index + 1}: ${toMiB(first)} before, ${toMiB(warm)} after a fifth of the inputs, ${toMiB(last)} at the end, ${toMiB(most)} at most`,
    ),
    `  CPU time in all: ${cpuSeconds?.toFixed(0) ?? "unknown"} s`,
    `  log: ${Math.round(loggedBytes / Math.max(1, inputs))} bytes for each input`,
    ...faults.flatMap((fault, index) =>
      formatFault(options, fault, index + 1, result.faultCounts.get(fault.kind) ?? 1),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function formatLatencies({ count, p50Ms, p99Ms, maxMs }: Latencies, width: number): string {
  return `${count.toString().padStart(width)}${[p50Ms, p99Ms, maxMs].map((ms) => `${ms.toFixed(1)} ms`.padStart(9)).join("")}`;
}

function toMiB(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

function formatFault({ seed, only }: Options, fault: Fault, index: number, count: number): string[] {
  const { kind, detail, inputs, seconds, input, steps, suspects } = fault;
  const seen = count === 1 ? "" : `, ${count} times in all`;
  const kinds = only.map((kind) => ` --only "${kind}"`).join("");
  const repeat = (from: number, number: number, times: number) =>
    `  repeat it: npm run fuzz -- --seed ${seed} --from ${from} --inputs ${number} --times ${times}${kinds}`;
  const lines = ["", `fault ${index}: ${kind}`, `  after ${inputs} inputs and ${seconds.toFixed(1)} s${seen}`];
  lines.push(...detail.split("\n").map((line) => `  | ${line}`));
  if (input !== undefined) {
    lines.push(`  input ${input}: ${steps?.join("; ") ?? ""}`, repeat(input, 1, 50));
  } else if (suspects.length > 0) {
    const [least, most] = [Math.min(...suspects), Math.max(...suspects)];
    const more = suspects.length > shownSuspects ? " …" : "";
    lines.push(`  under way, or just over: inputs ${suspects.slice(0, shownSuspects).join(", ")}${more}`);
    lines.push(repeat(least, most - least + 1, 5));
  }
  return lines;
}
