/** Starts servers with workers, and observes them through the log and the system's list of processes. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { listProcesses } from "./embedded-owner.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";
import { waitUntil } from "./wait.ts";

/** Starts a server over a database, with two workers unless `environment` overrides it. */
export function startWithWorkers(
  { url }: { readonly url: string },
  environment: Record<string, string> = {},
): Promise<ServerProcess> {
  return startServerProcess({ DATABASE_URL: url, BMAAS_WORKERS: "2", ...environment });
}

/** Returns the running worker processes, starting ones included. */
export async function listWorkers({ pid }: Pick<ServerProcess, "pid">): Promise<number[]> {
  const children = (await listProcesses()).filter(({ parent }) => parent === pid);
  return children.filter(({ args }) => args.includes("worker-main")).map((child) => child.pid);
}

/** Returns the workers that serve or have served, oldest first. */
export function findServed({ logged }: Pick<ServerProcess, "logged">): number[] {
  return logged.filter(({ msg }) => msg === "a worker is serving").map(({ pid }) => Number(pid));
}

/** Makes the server replace its workers, and resolves when all are replaced. This can take long on a busy machine. */
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

/** Opens `count` HTTP/2 connections to each listener, and waits for the server's settings on each. */
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
