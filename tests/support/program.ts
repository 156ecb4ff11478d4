/** The program as operators run it: a process of its own, watched from outside. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";

/** The file that `npm start` runs. */
export const mainFile = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** What a run of the program left. */
export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is run. */
export interface ProgramOptions {
  /** Settings; those of the tests' own environment do not count. */
  readonly environment?: Record<string, string>;
  readonly directory?: string;
  readonly account?: { uid: number; gid: number };
  /** A file that is its standard output; then nothing of that is kept. */
  readonly stdoutFile?: string;
}

/** A new folder for a test, removed after the run. */
export async function makeFolder(): Promise<string> {
  return mkdtemp(join(inject("testFolder"), "program-"));
}

/** Runs the program to its end; kills it after 25 s. */
export async function runProgram(args: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  const program = startProgram(args, options);
  program.child.stdin?.end();
  const timer = setTimeout(() => program.child.kill("SIGKILL"), 25_000);
  const status = await program.exited;
  clearTimeout(timer);
  return { status, ...program.output };
}

/** A program that runs. */
export interface RunningProgram {
  readonly child: ChildProcess;
  /** All that it wrote so far. */
  readonly output: { stdout: string; stderr: string };
  /** Resolves when it has ended, with its exit status; null for one that a signal ended. */
  readonly exited: Promise<number | null>;
}

/** Starts the program; the caller ends it. */
export function startProgram(
  args: readonly string[],
  { environment = {}, directory, account, stdoutFile }: ProgramOptions = {},
): RunningProgram {
  const own = Object.entries(process.env).filter(([name]) => !/^(BMAAS_|DATABASE_URL$|PG|NODE_|VITEST)/.test(name));
  const stdout = stdoutFile === undefined ? "pipe" : openSync(stdoutFile, "w");
  const child: ChildProcess = spawn(process.execPath, [mainFile, ...args], {
    // Most of what a short command takes is compiling; what one has compiled, the next ones need not.
    env: { ...Object.fromEntries(own), NODE_COMPILE_CACHE: join(inject("testFolder"), "compiled"), ...environment },
    stdio: ["pipe", stdout, "pipe"],
    ...(directory === undefined ? {} : { cwd: directory }),
    ...account,
  });
  if (stdout !== "pipe") closeSync(stdout);
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  const exited = once(child, "close").then(([status]) => status as number | null);
  return { child, output, exited };
}

/** How many connections the server side of a TCP port holds, half-open ones included; undefined where the system does not say. */
export async function countConnections(url: string): Promise<number | undefined> {
  if (process.platform !== "linux") return undefined;
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, "0");
  const rows = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((line) => line.trim().split(/ +/));
  // Local address, state and inode: a listening socket is 0A, one that only the system remembers has no inode.
  return rows.filter((row) => row[1]?.endsWith(`:${port}`) && row[3] !== "0A" && row[9] !== "0").length;
}

/** Bytes of a process that are in RAM; undefined where the system does not say. */
export async function findResidentBytes(pid: number): Promise<number | undefined> {
  if (process.platform !== "linux") return undefined;
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
