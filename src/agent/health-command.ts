/** Finds a machine's problems by an operator's command. */
import { parseHealthAlerts } from "../contract/health-alerts.ts";
import type { CollectHealth } from "./health-feed.ts";
import { runShellCommand } from "./shell-command.ts";

/** Options of `createHealthCommand`. */
export interface HealthCommandOptions {
  /** Time after which the command is stopped. Default: 60 s. */
  readonly timeoutMs?: number | undefined;
  /** Called with each line of the command's standard error. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** Maximum size of the command's output. A server takes 1 MiB in one call. */
const maxOutputBytes = 256 * 1024;

/**
 * Returns a function that runs a shell command, which prints all alerts in the form of `parseHealthAlerts` and exits
 * with 0. The function rejects otherwise.
 */
export function createHealthCommand(
  command: string,
  { timeoutMs = 60_000, onLine = () => {} }: HealthCommandOptions = {},
): CollectHealth {
  return async (signal) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const failure = await runShellCommand(command, {
      timeoutMs,
      signal,
      onLine: (line, stream) => {
        if (stream === "stderr") onLine(line);
      },
      onOutput: (chunk) => {
        bytes += chunk.length;
        if (bytes <= maxOutputBytes) chunks.push(chunk);
      },
    });
    if (failure !== undefined) throw new Error(failure);
    if (bytes > maxOutputBytes) throw new Error(`printed ${bytes} bytes; ${maxOutputBytes} are allowed at most`);
    try {
      return parseHealthAlerts(Buffer.concat(chunks).toString("utf8"));
    } catch (error) {
      throw new Error(`what it printed ${(error as Error).message}`);
    }
  };
}
