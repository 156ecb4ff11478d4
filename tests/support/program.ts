/** Runs the program as operators do: in its own process, observed from outside. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";

/** The file that operators run, which in a clone runs a bundle of the sources. */
export const mainFile = fileURLToPath(new URL("../../bin/bmaas.js", import.meta.url));
/** The file that `npm start` runs. */
export const sourceFile = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** Result of a run of the program. */
export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of a run. */
export interface ProgramOptions {
  /** Environment variables. Settings in the tests' own environment are not passed on. */
  readonly environment?: Record<string, string>;
  readonly directory?: string;
  /** Default: `mainFile`. */
  readonly program?: string;
  readonly account?: { uid: number; gid: number };
  /** A file that is its standard output; then nothing of that is kept. */
  readonly stdoutFile?: string;
}

/** Creates a folder for a test, which is removed after the run. */
export async function makeFolder(): Promise<string> {
  return mkdtemp(join(inject("testFolder"), "program-"));
}

/** Runs the program to its end. Kills it after 50 s. */
export async function runProgram(args: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  const program = startProgram(args, options);
  program.child.stdin?.end();
  const timer = setTimeout(() => program.child.kill("SIGKILL"), 50_000);
  const status = await program.exited;
  clearTimeout(timer);
  return { status, ...program.output };
}

/** A running program. */
export interface RunningProgram {
  readonly child: ChildProcess;
  /** Everything that it has written so far. */
  readonly output: { stdout: string; stderr: string };
  /** Resolves to its exit status when it has ended, or to null if a signal ended it. */
  readonly exited: Promise<number | null>;
}

/** Starts the program. The caller must end it. */
export function startProgram(
  args: readonly string[],
  { program = mainFile, environment = {}, directory, account, stdoutFile }: ProgramOptions = {},
): RunningProgram {
  const own = Object.entries(process.env).filter(([name]) => !/^(BMAAS_|DATABASE_URL$|PG|NODE_|VITEST)/.test(name));
  const stdout = stdoutFile === undefined ? "pipe" : openSync(stdoutFile, "w");
  const child: ChildProcess = spawn(process.execPath, [program, ...args], {
    env: { ...Object.fromEntries(own), ...environment },
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

/**
 * Returns the number of connections on the server side of a TCP port, half-open ones included, or undefined if the
 * system does not tell.
 */
export async function countConnections(url: string): Promise<number | undefined> {
  if (process.platform !== "linux") return undefined;
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, "0");
  const rows = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((line) => line.trim().split(/ +/));
  // Columns 1, 3 and 9 are local address, state and inode. State 0A is listening; a socket that its process has closed
  // has no inode.
  return rows.filter((row) => row[1]?.endsWith(`:${port}`) && row[3] !== "0A" && row[9] !== "0").length;
}

/** Returns the resident memory of a process in bytes, or undefined if the system does not tell. */
export async function findResidentBytes(pid: number): Promise<number | undefined> {
  if (process.platform !== "linux") return undefined;
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
