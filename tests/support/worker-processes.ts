/** A server with workers, as its log and the system's list of processes show it. */
import { listProcesses } from "./embedded-owner.ts";
import type { ServerProcess } from "./server-process.ts";
import { waitUntil } from "./wait.ts";

/** The worker processes that run, those that have only just begun included. */
export async function listWorkers({ pid }: Pick<ServerProcess, "pid">): Promise<number[]> {
  const children = (await listProcesses()).filter(({ parent }) => parent === pid);
  return children.filter(({ args }) => args.includes("worker-main")).map((child) => child.pid);
}

/** The workers that serve or have served, oldest first. */
export function findServed({ logged }: Pick<ServerProcess, "logged">): number[] {
  return logged.filter(({ msg }) => msg === "a worker serves").map(({ pid }) => Number(pid));
}

/** Has the workers replaced, and resolves when all of them are; on a busy machine that can take its time. */
export async function replaceWorkers(server: ServerProcess): Promise<void> {
  const count = () => server.logged.filter(({ msg }) => msg === "all workers are replaced").length;
  const before = count();
  server.kill("SIGHUP");
  await waitUntil("all workers are replaced", () => count() > before, 100_000);
}

/** Waits until none of these processes is left. */
export async function waitUntilGone(pids: readonly number[]): Promise<void> {
  await waitUntil(`${pids.join()} are gone`, async () => {
    const running = (await listProcesses()).filter(({ args }) => args !== "");
    return !running.some(({ pid }) => pids.includes(pid));
  });
}
