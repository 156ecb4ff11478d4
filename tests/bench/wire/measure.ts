/** Measures servers side by side: in rounds, each server once in every round, so that a slow minute of the machine hits all of them. */
import type { Comparison } from "./comparisons.ts";
import { startServer } from "./server-process.ts";

/** What was seen of one server. */
export interface Measured {
  readonly server: string;
  /** Calls a second, of each round. */
  readonly rates: readonly number[];
  /** CPU time of the server for each call, in microseconds, over all rounds; undefined where it cannot be read. */
  readonly cpuMicroseconds: number | undefined;
}

/** How long and how often. */
export interface Effort {
  readonly rounds: number;
  /** Of one server in one round. */
  readonly seconds: number;
}

/** Measures the servers of a comparison. Throws when one does not do the work. */
export async function measure(comparison: Comparison, effort: Effort): Promise<Measured[]> {
  const sendLoad = await comparison.createLoad();
  using started = new DisposableStack();
  const subjects = await Promise.all(
    Object.keys(comparison.servers).map(async (server) => ({
      server,
      process: started.use(await startServer(server)),
      rates: [] as number[],
    })),
  );
  for (const { process } of subjects) await comparison.assertAnswer(process.port);
  // The first calls are what the compiler learns from.
  for (const { process } of subjects) await sendLoad(process.port, effort.seconds);
  const before = await Promise.all(subjects.map(({ process }) => process.readCpuSeconds()));
  for (let round = 0; round < effort.rounds; round++) {
    for (const { process, rates } of subjects) rates.push(await sendLoad(process.port, effort.seconds));
  }
  return await Promise.all(
    subjects.map(async ({ server, process, rates }, index) => {
      const [from, to] = [before[index], await process.readCpuSeconds()];
      const calls = rates.reduce((sum, rate) => sum + rate * effort.seconds, 0);
      const cpuMicroseconds = from === undefined || to === undefined ? undefined : ((to - from) * 1e6) / calls;
      return { server, rates, cpuMicroseconds };
    }),
  );
}

/** The value in the middle; of an even number, the upper one of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The median of what a round's rates of two servers make, one divided by the other. */
export function ratio(above: Measured, below: Measured): number {
  return median(above.rates.map((rate, round) => rate / (below.rates[round] ?? Number.NaN)));
}
