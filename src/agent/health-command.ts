/** Finds a machine's problems by an operator's command. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseHealthAlerts } from "../contract/health-alerts.ts";
import type { CollectHealth } from "./health-feed.ts";
import { runShellCommand } from "./shell-command.ts";

/** Options of `createHealthCommand`. */
export interface HealthCommandOptions {
  /** Time after which the command is stopped. Default: 60 s. */
  readonly timeoutMs?: number | undefined;
  /** Time between asking the command to stop and killing it. Default: 5 s. */
  readonly graceMs?: number | undefined;
  /** Called with each line of the command's standard error. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** Maximum size of the command's output. A server takes 1 MiB in one call. */
const maxOutputBytes = 256 * 1024;

/** How long a command that was killed may take to end, in milliseconds. */
const endMs = 5000;

/**
 * Returns a function that runs a shell command, which prints all alerts in the form of `parseHealthAlerts` and exits
 * with 0. The function rejects otherwise. A command that hangs in the kernel does not end even when it is killed: the
 * function does not wait for it, and starts it again only once it has ended.
 */
export function createHealthCommand(
  command: string,
  { timeoutMs = 60_000, graceMs = 5000, onLine = () => {} }: HealthCommandOptions = {},
): CollectHealth {
  /** Whether a run was given up and has not ended. */
  let isHanging = false;
  return async (signal) => {
    if (isHanging) throw new Error("an earlier run has not ended yet, as when a disk hangs");
    const chunks: Buffer[] = [];
    let bytes = 0;
    const run = runShellCommand(command, {
      timeoutMs,
      graceMs,
      signal,
      onLine: (line, stream) => {
        if (stream === "stderr") onLine(line);
      },
      onOutput: (chunk) => {
        bytes += chunk.length;
        if (bytes <= maxOutputBytes) chunks.push(chunk);
      },
    });
    const limit = new AbortController();
    const ended = run.then((failure) => ({ failure }));
    const givenUp = sleep(timeoutMs + graceMs + endMs, undefined, { signal: limit.signal }).catch(() => undefined);
    const end = await Promise.race([ended, givenUp]).finally(() => limit.abort());
    if (end === undefined) {
      isHanging = true;
      const forget = () => {
        isHanging = false;
      };
      run.then(forget, forget);
      throw new Error(`stopped after ${timeoutMs / 1000} s, and does not end, as when a disk hangs`);
    }
    if (end.failure !== undefined) throw new Error(end.failure);
    if (bytes > maxOutputBytes) throw new Error(`printed ${bytes} bytes; ${maxOutputBytes} are allowed at most`);
    try {
      return parseHealthAlerts(Buffer.concat(chunks).toString("utf8"));
    } catch (error) {
      throw new Error(`what it printed ${(error as Error).message}`);
    }
  };
}
