/** Runs an operator's command so that neither it nor anything that it started outlives the run or this process. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { LineSplitter, OutputTail } from "./output-tail.ts";

/** Options of `runShellCommand`. */
export interface ShellCommandOptions {
  /** Written to standard input, which is then closed. The command need not read it. */
  readonly input?: string;
  /** Environment variables of the command, beside those of this process. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  /** Time after which the command is stopped. Default: none. */
  readonly timeoutMs?: number | undefined;
  /** Stops the command when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Time between SIGTERM and SIGKILL when the command is stopped. Default: 5 s. */
  readonly graceMs?: number | undefined;
  /** Called with each line of standard output and standard error. */
  readonly onLine?: ((line: string, stream: "stdout" | "stderr") => void) | undefined;
  /** Called with each piece of standard output. */
  readonly onOutput?: ((chunk: Buffer) => void) | undefined;
}

/** Maximum size of standard error's end in an error text. */
const maxTailBytes = 4096;

/** Longest wait for output after the command has ended and everything that it started was killed. */
const drainMs = 1000;

/**
 * Runs the command in its own process group. A watcher in that group reads from descriptor 3, whose other end only this
 * process has. When that closes, because the command has ended or this process has died, the watcher kills the group.
 * The watcher ignores signals to stop, and it is not a child of the command, which may wait for all its children.
 */
const script =
  '( { trap "" HUP INT TERM; read -r _ <&3; kill -s KILL -- "-$$"; } >/dev/null 2>&1 & ); exec env "$@" 3<&-';

/**
 * Runs `command` by /bin/sh. Resolves to undefined if it exits with 0, or else to the error with the end of standard
 * error.
 */
export async function runShellCommand(command: string, options: ShellCommandOptions = {}): Promise<string | undefined> {
  const { input = "", variables = {}, timeoutMs, signal, graceMs = 5000, onLine = () => {}, onOutput } = options;
  if (signal?.aborted) return "not started: the agent is stopping";
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const child = spawn("/bin/sh", ["-c", script, "sh", ...settings, "/bin/sh", "-c", command], {
    detached: true,
    stdio: ["pipe", "pipe", "pipe", "pipe"],
  });
  const tail = new OutputTail(maxTailBytes);
  const drained = Promise.all([
    follow(child.stdout as Readable, (line) => onLine(line, "stdout"), onOutput),
    follow(
      child.stderr as Readable,
      (line) => onLine(line, "stderr"),
      (chunk) => tail.push(chunk),
    ),
  ]);
  const [stdin, lifeline] = [child.stdin as Writable, child.stdio[3] as Writable];
  // A command that ends without reading its input breaks the pipe (EPIPE), but may still have succeeded.
  for (const stream of [stdin, lifeline]) stream.on("error", () => {});
  stdin.end(input);
  const stopping = stopOn(child, { timeoutMs, signal, graceMs });
  const ending = await waitForExit(child).finally(() => {
    stopping.cancel();
    lifeline.destroy();
  });
  await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, drainMs).unref())]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  const failure = stopping.reason() ?? ending;
  return failure === undefined ? undefined : [failure, tail.toString()].filter((part) => part !== "").join(": ");
}

async function follow(
  stream: Readable,
  onLine: (line: string) => void,
  onChunk?: (chunk: Buffer) => void,
): Promise<void> {
  const lines = new LineSplitter(onLine);
  // If the pipe breaks, further output is lost, but the exit status is still known.
  stream.on("error", () => {});
  stream.on("data", (chunk: Buffer) => {
    onChunk?.(chunk);
    lines.push(chunk);
  });
  await new Promise((resolve) => stream.once("close", resolve));
  lines.end();
}

function waitForExit(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(`cannot be started: ${error.message}`));
    child.once("exit", (status, signal) => {
      if (signal !== null) resolve(`killed by ${signal}`);
      else resolve(status === 0 ? undefined : `exit status ${status}`);
    });
  });
}

/** Stops the command's group on timeout or abort: first by SIGTERM, then by SIGKILL. */
function stopOn(
  child: ChildProcess,
  options: { timeoutMs: number | undefined; signal: AbortSignal | undefined; graceMs: number },
) {
  const { timeoutMs, signal, graceMs } = options;
  let reason: string | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (why: string) => {
    if (reason !== undefined) return;
    reason = why;
    killGroup(child, "SIGTERM");
    killTimer = setTimeout(() => killGroup(child, "SIGKILL"), graceMs);
  };
  const onAbort = () => stop("stopped because the agent is stopping");
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => stop(`stopped after ${timeoutMs / 1000} s`), timeoutMs);
  return {
    reason: () => reason,
    cancel: () => {
      clearTimeout(timer);
      clearTimeout(killTimer);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group ended between the check and the call.
  }
}
