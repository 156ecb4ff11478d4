/** Measures the speed of work and its CPU time by participant. */
import { readCpuSeconds } from "./cpu-time.ts";
import type { CpuUser, Observation } from "./rounds.ts";

/** Completed work. */
interface Done {
  readonly calls: number;
  readonly seconds: number;
  /** CPU time of making the calls. */
  readonly loadSeconds?: number;
}

/** Runs `work` and returns its rate and its CPU time. `users` are the main processes of the participants. */
export async function observe(
  users: Readonly<Partial<Record<CpuUser, number | undefined>>>,
  work: () => Promise<Done>,
): Promise<Observation> {
  const read = () =>
    Promise.all(
      Object.entries(users).map(async ([user, pid]) => ({
        user,
        seconds: pid === undefined ? undefined : await readCpuSeconds(pid),
      })),
    );
  const before = await read();
  const { calls, seconds, loadSeconds } = await work();
  const after = await read();
  const cpuMicroseconds: Partial<Record<string, number>> & { load?: number } = {};
  for (const [index, { user, seconds: to }] of after.entries()) {
    const from = before[index]?.seconds;
    if (from !== undefined && to !== undefined) cpuMicroseconds[user] = ((to - from) * 1e6) / calls;
  }
  if (loadSeconds !== undefined) cpuMicroseconds.load = (loadSeconds * 1e6) / calls;
  return { perSecond: calls / seconds, cpuMicroseconds };
}
