/** Times two works in turn, and shows the ratio of their times beside the one that is allowed. */
import { median } from "../measure/statistics.ts";

/** Two works whose times are compared. */
export interface Compared {
  readonly what: string;
  /** Does the work that is measured once, with the number of the call. */
  readonly measured: (call: number) => Promise<unknown>;
  /** Does the work that it is compared with. */
  readonly beside: (call: number) => Promise<unknown>;
  /** Number of calls of each that count. */
  readonly calls: number;
  /** The ratio that must not be exceeded; absent for a ratio that is only shown. */
  readonly allowed?: number;
}

/** A row of the table: what was measured, both medians in milliseconds, the ratio, and the allowed one. */
export type ComparisonRow = readonly [what: string, time: string, beside: string, ratio: string, allowed: string];

/** The header of the rows. */
export const comparisonHeader = ["what", "median, ms", "beside, ms", "ratio", "allowed"] as const;

/**
 * Times both works call by call in turn, so that a slow minute of the machine affects both, after a tenth of the calls
 * that do not count. The ratio is that of the medians.
 */
export async function compare({ what, measured, beside, calls, allowed }: Compared): Promise<ComparisonRow> {
  process.stderr.write(`${what} …\n`);
  const [took, tookBeside]: [number[], number[]] = [[], []];
  for (let call = -Math.ceil(calls / 10); call < calls; call++) {
    const at = Math.abs(call);
    const time = async (work: Compared["measured"], into: number[]) => {
      const beganAtMs = performance.now();
      await work(at);
      if (call >= 0) into.push(performance.now() - beganAtMs);
    };
    const isFirst = call % 2 === 0;
    if (isFirst) await time(measured, took);
    await time(beside, tookBeside);
    if (!isFirst) await time(measured, took);
  }
  const [middle, middleBeside] = [median(took), median(tookBeside)];
  const ratio = (middle / middleBeside).toFixed(2);
  return [what, middle.toFixed(2), middleBeside.toFixed(2), ratio, allowed === undefined ? "" : `≤ ${allowed}`];
}
