/** The cells that many tables have in common. */
import type { CpuUser, Measured, Observation } from "../measure/rounds.ts";
import { median, medianRatio } from "../measure/statistics.ts";
import { formatCount, formatTenths } from "./format-report.ts";
import type { Bar } from "./part.ts";

/** Of each: the median and the spread of its rates. */
export function rateCells({ rates }: Measured): [median: string, spread: string] {
  return [formatCount(median(rates)), `${formatCount(Math.min(...rates))}, ${formatCount(Math.max(...rates))}`];
}

/** What ours is to another one; empty for ours, and without either. */
export function ratioCell(ours: Measured | undefined, other: Measured): string {
  return ours === undefined || ours === other ? "" : medianRatio(ours.rates, other.rates).toFixed(2);
}

/** CPU time for each call, the median of the rounds; empty where it is not known. */
export function cpuCell(measured: Measured, user: CpuUser): string {
  return formatTenths(cpuMicroseconds(measured, user), "µs");
}

/** The same as a number; NaN where it is not known. */
function cpuMicroseconds({ observations }: Measured, user: CpuUser): number {
  return median(observations.map(({ cpuMicroseconds: cpu }) => cpu?.[user] ?? Number.NaN));
}

/** The bar of its rates. */
export function rateBar({ rates }: Measured, label: string, isOurs: boolean): Bar {
  return { label, value: median(rates), least: Math.min(...rates), most: Math.max(...rates), isOurs };
}

/** What one is to another, NaN when either was not measured. */
export function ratioOf(above: Measured | undefined, below: Measured | undefined): number {
  return above === undefined || below === undefined ? Number.NaN : medianRatio(above.rates, below.rates);
}

/** A sentence for each whose calls failed in more than a few cases. */
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
