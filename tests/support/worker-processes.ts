/** A server with workers, as its log and the system's list of processes show it. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { listProcesses } from "./embedded-owner.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";
import { waitUntil } from "./wait.ts";

/** Starts a server with two workers over a database, unless `environment` says otherwise. */
export function startWithWorkers(
  { url }: { readonly url: string },
  environment: Record<string, string> = {},
): Promise<ServerProcess> {
  return startServerProcess({ DATABASE_URL: url, BMAAS_WORKERS: "2", ...environment });
}

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

/** HTTP/2 connections to both listeners, each of which has been answered once. */
export async function openSessions({ agentUrl, adminUrl, ca }: ServerProcess, count: number) {
  return await Promise.all(
    [agentUrl, adminUrl].flatMap((url) =>
      Array.from({ length: count }, async () => {
        const session = connectHttp2(url, { ca });
        session.on("error", () => {});
        await once(session, "remoteSettings");
        return { url, session };
      }),
    ),
  );
}
