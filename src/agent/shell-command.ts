/** Runs an operator's command so that neither it nor anything it started outlives the run, or the process that ran it. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { LineSplitter, OutputTail } from "./output-tail.ts";

/** What a run takes. */
export interface ShellCommandOptions {
  /** Written to standard input, which is then closed; a command need not read it. */
  readonly input?: string;
  /** When to stop the command. Default: never. */
  readonly timeoutMs?: number | undefined;
  /** Stops the command, too. */
  readonly signal?: AbortSignal | undefined;
  /** How long a command that is told to stop (SIGTERM) has until it is killed. Default: 5 s. */
  readonly graceMs?: number | undefined;
  /** Gets each line of standard output and standard error. */
  readonly onLine?: ((line: string, stream: "stdout" | "stderr") => void) | undefined;
}

/** How much of standard error an error text holds. */
const maxTailBytes = 4096;

/** How long output may still arrive once the command has ended and all it started was killed. */
const drainMs = 1000;

/**
 * The command runs in a process group of its own. A watcher in that group reads from descriptor 3, whose other end only this
 * process holds: when it closes, after the command has ended or because this process died, the watcher kills the group. It does
 * not end with those that are told to stop, and it is no child of the command, which may wait for all of its children.
 */
const script =
  '( { trap "" HUP INT TERM; read -r _ <&3; kill -s KILL -- "-$$"; } >/dev/null 2>&1 & ); exec /bin/sh -c "$1" 3<&-';

/** Runs `command` by /bin/sh; returns undefined when it exits with 0, and otherwise what went wrong, with the end of its stderr. */
export async function runShellCommand(command: string, options: ShellCommandOptions = {}): Promise<string | undefined> {
  const { input = "", timeoutMs, signal, graceMs = 5000, onLine = () => {} } = options;
  if (signal?.aborted) return "not started: the agent is stopping";
  const child = spawn("/bin/sh", ["-c", script, "sh", command], {
    detached: true,
    stdio: ["pipe", "pipe", "pipe", "pipe"],
  });
  const tail = new OutputTail(maxTailBytes);
  const drained = Promise.all([
    follow(child.stdout as Readable, (line) => onLine(line, "stdout")),
    follow(
      child.stderr as Readable,
      (line) => onLine(line, "stderr"),
      (chunk) => tail.push(chunk),
    ),
  ]);
  const [stdin, lifeline] = [child.stdin as Writable, child.stdio[3] as Writable];
  // A command that ends without reading its input breaks the pipe (EPIPE), which says nothing about its success.
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
  // What the command says is lost when the pipe breaks; how it ends is still known.
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

/** Stops the command's group on time-out or abort: first politely, then by force. */
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
