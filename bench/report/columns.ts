/** Cells that several tables share. */
import type { CpuUser, Measured, Observation } from "../measure/rounds.ts";
import { median, medianRatio } from "../measure/statistics.ts";
import { formatCount, formatTenths } from "./format-report.ts";
import type { Bar } from "./part.ts";

/** Returns the median and the spread of the rates. */
export function rateCells({ rates }: Measured): [median: string, spread: string] {
  return [formatCount(median(rates)), `${formatCount(Math.min(...rates))}, ${formatCount(Math.max(...rates))}`];
}

/** Returns the ratio of ours to another one; empty for ours itself, or if ours was not measured. */
export function ratioCell(ours: Measured | undefined, other: Measured): string {
  return ours === undefined || ours === other ? "" : medianRatio(ours.rates, other.rates).toFixed(2);
}

/** Returns the CPU time per call, the median of the rounds; empty if unknown. */
export function cpuCell(measured: Pick<Measured, "observations">, user: CpuUser): string {
  return formatTenths(cpuMicroseconds(measured, user), "µs");
}

/** Returns the CPU time per call in microseconds, the median of the rounds, or NaN if unknown. */
function cpuMicroseconds({ observations }: Pick<Measured, "observations">, user: CpuUser): number {
  return median(observations.map(({ cpuMicroseconds: cpu }) => cpu?.[user] ?? Number.NaN));
}

/** Returns the bar of the rates. */
export function rateBar({ rates }: Measured, label: string, isOurs: boolean): Bar {
  return { label, value: median(rates), least: Math.min(...rates), most: Math.max(...rates), isOurs };
}

/** Returns the ratio of the rates, or NaN if either was not measured. */
export function ratioOf(above: Measured | undefined, below: Measured | undefined): number {
  return above === undefined || below === undefined ? Number.NaN : medianRatio(above.rates, below.rates);
}

/** Returns a sentence for each subject of which more than 0.1 % of the calls failed in a round. */
export function noteFailures(
  all: readonly { readonly label: string; readonly observations: readonly Observation[] }[],
): string[] {
  return all.flatMap(({ label, observations }) => {
    const worst = Math.max(0, ...observations.map(({ failedShare = 0 }) => failedShare));
    return worst < toleratedShare
      ? []
      : [
          `${label}: in one of its rounds ${(worst * 100).toFixed(1)} % of the calls were refused or failed; they count in no rate.`,
        ];
  });
}

const toleratedShare = 0.001;
