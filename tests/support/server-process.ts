/** Runs `bmaas serve` in its own process, which tests can signal, kill and start again on the same home. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { afterAll, inject } from "vitest";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { mainFile } from "./program.ts";
import type { LogLine } from "./server.ts";
import { unaryLane } from "./unary-lane.ts";

/** A running server in another process. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  /** Its BMAAS_HOME. A later server on the same home has the same certificates and the same embedded database. */
  readonly home: string;
  readonly agentUrl: string;
  readonly adminUrl: string;
  /** PEM of the CA that issued its certificate; empty without TLS. */
  readonly ca: string;
  readonly caFile: string;
  /** Everything logged so far, parsed, oldest first. */
  readonly logged: readonly LogLine[];
  /** Everything written so far, unparsed. */
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** Resolves to the exit status when it has ended, or to the signal that ended it. */
  readonly ended: Promise<number | string>;
  kill(signal: NodeJS.Signals): void;
  /** Ends it by SIGTERM and waits. */
  stop(): Promise<number | string>;
}

/**
 * Starts a server on free ports, or on those of `environment`, and resolves when it serves. Without DATABASE_URL it
 * runs its own PostgreSQL. `program` may be a copy of this repository's program.
 */
export async function startServerProcess(
  environment: Record<string, string> = {},
  program: string = mainFile,
): Promise<ServerProcess> {
  const home = environment.BMAAS_HOME ?? (await mkdtemp(join(inject("testFolder"), "server-")));
  const child = spawn(process.execPath, [program, "serve"], {
    cwd: home,
    env: {
      PATH: process.env.PATH,
      BMAAS_AGENT_LISTEN: "127.0.0.1:0",
      BMAAS_ADMIN_LISTEN: "127.0.0.1:0",
      BMAAS_SHUTDOWN_DELAY: "0",
      BMAAS_UNARY_LANE: unaryLane,
      // It would be built for each copy of the program.
      BMAAS_CONSOLE: "off",
      ...environment,
      BMAAS_HOME: home,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close").then(([status, signal]) => (status ?? signal) as number | string);
  const { logged, output, serving } = readOutput(child);
  const started = await Promise.race([serving, ended]);
  if (typeof started !== "object")
    throw new Error(`it ended before it served: ${started}\n${output.stderr}${output.stdout}`);
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  return {
    pid: child.pid ?? 0,
    home,
    agentUrl: String(started.agentUrl),
    adminUrl: String(started.adminUrl),
    ca: started.caFile === undefined ? "" : await readFile(String(started.caFile), "utf8"),
    caFile: String(started.caFile ?? ""),
    logged,
    output,
    ended,
    kill: (signal) => void child.kill(signal),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

function readOutput(child: ChildProcessByStdio<null, Readable, Readable>) {
  const logged: LogLine[] = [];
  const output = { stdout: "", stderr: "" };
  const { promise: serving, resolve } = Promise.withResolvers<LogLine>();
  createInterface(child.stdout).on("line", (text) => {
    output.stdout += `${text}\n`;
    const line = JSON.parse(text) as LogLine;
    logged.push(line);
    if (line.msg === "serving") resolve(line);
  });
  createInterface(child.stderr).on("line", (text) => {
    output.stderr += `${text}\n`;
  });
  return { logged, output, serving };
}

/**
 * Starts two servers with the same settings on one new database. Stops them, and drops it, after the tests of the file
 * that calls.
 */
export async function startTwoServers(environment: Record<string, string> = {}): Promise<{
  database: TestDatabase;
  servers: readonly [ServerProcess, ServerProcess];
}> {
  const database = await createTestDatabase();
  afterAll(() => database.close());
  const start = () => startServerProcess({ ...environment, DATABASE_URL: database.url });
  const servers = await Promise.all([start(), start()]);
  // What is registered last runs first.
  afterAll(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
  });
  return { database, servers };
}
