/** Measures a process: how long it runs, and the most memory that it has. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

/** What a process took. */
export interface ProcessCost {
  readonly seconds: number;
  /** Most resident memory in bytes; undefined without /proc. */
  readonly peakBytes: number | undefined;
}

/** Runs a process whose output is not read, and returns what it took. Throws unless it ends with status 0. */
export async function measureProcess(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<ProcessCost> {
  const startedAt = performance.now();
  const child = spawn(program, args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
  });
  let peakBytes: number | undefined;
  const timer = setInterval(() => {
    peakBytes = readPeakBytes(child.pid ?? 0) ?? peakBytes;
  }, 50);
  try {
    const [status] = await once(child, "exit");
    if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with status ${status}`);
  } finally {
    clearInterval(timer);
  }
  return { seconds: (performance.now() - startedAt) / 1000, peakBytes };
}

/** Returns the most resident memory that a process has had, which Linux keeps. */
function readPeakBytes(pid: number): number | undefined {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
