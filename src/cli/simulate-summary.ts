/** A simulation's summary for people. */
import type { SimulationFigures } from "../simulate/simulation-figures.ts";

/** Returns lines that end in a line feed. */
export function formatSummary(summary: ReturnType<SimulationFigures["summarize"]>): string {
  const { latencyMs, installations, failuresByCode } = summary;
  const failed = Object.entries(failuresByCode).map(([code, count]) => `${code} ${count}`);
  const lines = [
    `${summary.machines} machines, ${summary.heartbeats} heartbeats in ${summary.seconds} s, ${Math.round(summary.heartbeatsPerSecond)} a second`,
    `busiest second: ${summary.busiestSecond} heartbeats were due`,
    `failed: ${failed.length === 0 ? "none" : failed.join(", ")}`,
    `latency: p50 ${latencyMs.p50} ms, p90 ${latencyMs.p90} ms, p99 ${latencyMs.p99} ms, at most ${latencyMs.max} ms`,
    `installations: ${installations.requested} requested, ${installations.succeeded} succeeded, ${installations.failed} failed, ${installations.vanished} vanished`,
    `asked to install what was reported already: ${summary.spuriousRequests === 0 ? "never" : `${summary.spuriousRequests} times`}`,
  ];
  return lines.map((line) => `${line}\n`).join("");
}
