/**
 * Shows a running simulation: a bar while the fleet registers, and then a few lines that are redrawn. Without a
 * terminal it prints plain lines.
 */
import type { SimulationFigures } from "../simulate/simulation-figures.ts";

/** The display of a running simulation. */
export interface SimulationDisplay {
  registered(count: number, total: number): void;
  figures(figures: SimulationFigures): void;
  /** Ends the display, and leaves the last figures on the screen. */
  end(): void;
}

const barWidth = 30;
/** Without a terminal, a line is printed once in this number of calls of `figures`. */
const quietRounds = 10;

/** Creates the display on `stream`. Use standard error, since the summary is on standard output. */
export function createSimulationDisplay(stream: NodeJS.WriteStream): SimulationDisplay {
  let drawnLines = 0;
  let rounds = 0;
  let lastCount = 0;
  let lastMs = 0;

  function draw(lines: readonly string[]): void {
    if (drawnLines > 0) stream.write(`\x1b[${drawnLines}A\x1b[0J`);
    stream.write(lines.map((line) => `${line}\n`).join(""));
    drawnLines = lines.length;
  }

  return {
    registered(count, total) {
      if (!stream.isTTY) {
        if (count === total) stream.write(`registered ${total} machines\n`);
        return;
      }
      const filled = Math.round((barWidth * count) / total);
      draw([`registering  [${"#".repeat(filled)}${"-".repeat(barWidth - filled)}]  ${count}/${total}`]);
      if (count === total) drawnLines = 0;
    },
    figures(figures) {
      const { elapsedMs } = figures.present;
      const perSecond = (1000 * (figures.latency.count - lastCount)) / Math.max(1, elapsedMs - lastMs);
      lastCount = figures.latency.count;
      lastMs = elapsedMs;
      rounds += 1;
      if (stream.isTTY) draw(describe(figures, perSecond));
      else if (rounds % quietRounds === 0) stream.write(`${describe(figures, perSecond).join("; ")}\n`);
    },
    end() {
      drawnLines = 0;
    },
  };
}

function describe(figures: SimulationFigures, perSecond: number): string[] {
  const { present, latency, outcomes, failures } = figures;
  const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  const failed = [...failures].map(([code, count]) => `${code} ${count}`).join(", ");
  return [
    `${Math.round(present.elapsedMs / 1000)} s  ${Math.round(perSecond)} heartbeats/s, ${latency.count} in total,` +
      ` ${present.inFlight} in flight, ${present.waiting} waiting, ${present.connections} connections`,
    `latency  p50 ${ms(latency.quantile(0.5))}  p99 ${ms(latency.quantile(0.99))}  max ${ms(latency.maxMs)}`,
    `failed  ${failed === "" ? "none" : failed}`,
    `installations  ${figures.installationsRequested} requested, ${outcomes.succeeded} succeeded, ${outcomes.failed} failed,` +
      ` ${outcomes.vanished} vanished, ${figures.spuriousRequests} spurious`,
  ];
}

/** Formats a simulation's summary for people, as lines that end in a line feed. */
export function formatSummary(summary: ReturnType<SimulationFigures["summarize"]>): string {
  const { latencyMs, installations, failuresByCode } = summary;
  const failed = Object.entries(failuresByCode).map(([code, count]) => `${code} ${count}`);
  const lines = [
    `${summary.machines} machines, ${summary.heartbeats} heartbeats in ${summary.seconds} s, ${Math.round(summary.heartbeatsPerSecond)} per second`,
    `busiest second: ${summary.busiestSecond} heartbeats were due`,
    `failed: ${failed.length === 0 ? "none" : failed.join(", ")}`,
    `latency: p50 ${latencyMs.p50} ms, p90 ${latencyMs.p90} ms, p99 ${latencyMs.p99} ms, at most ${latencyMs.max} ms`,
    `installations: ${installations.requested} requested, ${installations.requestsFailed} refused, ${installations.succeeded} succeeded, ${installations.failed} failed, ${installations.vanished} vanished`,
    `asked to install what was already reported: ${summary.spuriousRequests === 0 ? "never" : `${summary.spuriousRequests} times`}`,
  ];
  return lines.map((line) => `${line}\n`).join("");
}
