/** `bmaas serve` as a process of its own, to be signalled and killed, and started again on the same home. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import type { LogLine } from "./server.ts";

/** A server that serves, in another process. */
export interface KillableServer extends AsyncDisposable {
  readonly pid: number;
  /** Its BMAAS_HOME; a server that follows on it has the same certificates and the same embedded database. */
  readonly home: string;
  readonly agentUrl: string;
  readonly adminUrl: string;
  /** PEM of the CA that its certificate comes from. */
  readonly ca: string;
  /** Everything that it has logged so far, parsed, oldest first. */
  readonly logged: readonly LogLine[];
  /** Resolves when it has ended: the exit status, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  kill(signal: NodeJS.Signals): void;
}

const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** Starts a server on free ports, or those of `environment`; resolves when it serves. Without DATABASE_URL it runs its own. */
export async function startKillableServer(environment: Record<string, string> = {}): Promise<KillableServer> {
  const home = environment.BMAAS_HOME ?? (await mkdtemp(join(inject("testFolder"), "killable-")));
  const child = spawn(process.execPath, [program, "serve"], {
    cwd: home,
    env: {
      PATH: process.env.PATH,
      BMAAS_AGENT_LISTEN: "127.0.0.1:0",
      BMAAS_ADMIN_LISTEN: "127.0.0.1:0",
      ...environment,
      BMAAS_HOME: home,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit").then(([status, signal]) => (status ?? signal) as number | string);
  const { logged, serving } = readLog(child);
  const started = await Promise.race([serving, ended]);
  if (typeof started !== "object") throw new Error(`it ended before it served: ${started}\n${JSON.stringify(logged)}`);
  return {
    pid: child.pid ?? 0,
    home,
    agentUrl: String(started.agentUrl),
    adminUrl: String(started.adminUrl),
    ca: started.caFile === undefined ? "" : await readFile(String(started.caFile), "utf8"),
    logged,
    ended,
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function readLog(child: ChildProcessByStdio<null, Readable, Readable>) {
  const logged: LogLine[] = [];
  const { promise: serving, resolve } = Promise.withResolvers<LogLine>();
  createInterface(child.stdout).on("line", (text) => {
    const line = JSON.parse(text) as LogLine;
    logged.push(line);
    if (line.msg === "serving") resolve(line);
  });
  createInterface(child.stderr).on("line", (text) => logged.push({ stderr: text }));
  return { logged, serving };
}
