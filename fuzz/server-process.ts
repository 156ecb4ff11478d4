/** `bmaas serve` as a process of its own, and everything that it says which a sound server would not. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

/** What a server did that it must not do. */
export interface ServerProblem {
  /** The same for problems of the same kind. */
  readonly kind: string;
  readonly detail: string;
  /** When it was first seen, on the clock of `performance.now()`. */
  readonly atMs: number;
  /** The process is gone. */
  readonly isEnd: boolean;
}

/** How a server is started. */
export interface ServerOptions {
  /** Where it keeps its files. */
  readonly home: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The command `bmaas`: an absolute path. */
  readonly program: string;
  readonly onProblem: (problem: ServerProblem) => void;
}

/** A server that serves. */
export interface FuzzedServer extends AsyncDisposable {
  readonly pid: number;
  readonly agentUrl: string;
  readonly adminUrl: string;
  /** Of both. */
  readonly ports: readonly number[];
  readonly adminTokenFile: string | undefined;
  /** Bytes of its log so far. */
  readonly loggedBytes: number;
}

const endWithParent = new URL("end-with-parent.ts", import.meta.url).href;
const stopTimeoutMs = 30_000;
/** What a process writes on standard error comes in several pieces; milliseconds. */
const stackTimeMs = 3_000;
const shownLength = 2_000;
/** pino's number of "error". */
const errorLevel = 50;

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly err?: { readonly message?: string };
  readonly agentUrl?: string;
  readonly adminUrl?: string;
  readonly adminTokenFile?: string;
}

/**
 * Starts a server; resolves when it serves, and throws when it ends instead. It does not outlive this process, not even
 * one killed.
 */
export async function startFuzzedServer(options: ServerOptions): Promise<FuzzedServer> {
  const { home, environment, program, onProblem } = options;
  const child = spawn(process.execPath, ["--import", endWithParent, program, "serve"], {
    // Nothing of the caller's settings.
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: join(home, "..", "compiled"), BMAAS_HOME: home, ...environment },
    stdio: ["pipe", "pipe", "pipe"],
    // Ctrl-C in a terminal is for the fuzzer alone.
    detached: true,
  });
  let isStopping = false;
  let hasEnded = false;
  let loggedBytes = 0;
  const { promise: serving, resolve } = Promise.withResolvers<LogLine>();
  const tell = (kind: string, detail: string, atMs = performance.now(), isEnd = false) => {
    if (!isStopping) onProblem({ kind, detail: cut(detail), atMs, isEnd });
  };
  createInterface(child.stdout).on("line", (text) => {
    loggedBytes += text.length + 1;
    const line = parseLine(text);
    if (line === undefined) tell("a line of the log is no JSON", text);
    else if (line.msg === "serving") resolve(line);
    else if (line.level >= errorLevel) tell(nameLine(line), text);
  });
  let errorText = "";
  let errorAtMs = 0;
  child.stderr.setEncoding("utf8").on("data", async (text: string) => {
    loggedBytes += text.length;
    errorText += text;
    if (errorText.length > text.length) return;
    errorAtMs = performance.now();
    await delay(stackTimeMs);
    // Of a process that has ended, its end tells all.
    if (!hasEnded) tell(`standard error: ${nameStack(errorText)}`, errorText, errorAtMs);
    errorText = "";
  });
  const ended = once(child, "close").then(([status, signal]) => {
    hasEnded = true;
    const why = errorText === "" ? "" : `, ${nameStack(errorText)}`;
    const kind = `a server ended: ${signal === null ? `status ${status}` : signal}${why}`;
    tell(kind, errorText, errorText === "" ? performance.now() : errorAtMs, true);
    return kind;
  });
  const started = await Promise.race([serving, ended]);
  if (typeof started === "string") throw new Error(`${started}\n${errorText}`);
  const { agentUrl = "", adminUrl = "", adminTokenFile } = started;
  return {
    pid: child.pid ?? 0,
    agentUrl,
    adminUrl,
    ports: [agentUrl, adminUrl].map((url) => Number(new URL(url).port)),
    adminTokenFile,
    get loggedBytes() {
      return loggedBytes;
    },
    [Symbol.asyncDispose]: async () => {
      isStopping = true;
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
      await ended;
      clearTimeout(late);
    },
  };
}

function parseLine(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined;
  }
}

function nameLine({ msg, err }: LogLine): string {
  return `the log: ${msg}${err?.message === undefined ? "" : `: ${err.message}`}`.slice(0, 300);
}

/** The line of a stack that names the error, or the first one. */
function nameStack(text: string): string {
  const lines = text.split("\n");
  return (lines.find((line) => /^\w*(?:Error|Exception|Warning)\b/.test(line)) ?? lines[0] ?? "").slice(0, 200);
}

function cut(text: string): string {
  return text.length > shownLength ? `${text.slice(0, shownLength)}…` : text.trimEnd();
}
