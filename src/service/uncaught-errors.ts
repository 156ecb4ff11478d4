/** Handles uncaught errors in a serving process: logs them and ends the process. */
import type { Logger } from "pino";
import { countUncaughtError } from "../metrics/process-metrics.ts";

/** Maximum number of log lines about uncaught errors. */
const maxLines = 20;
/** Longest time that a process takes to end after an uncaught error, in milliseconds. */
const endTimeoutMs = 10_000;

/**
 * From now on, logs uncaught errors of callbacks and promises with their stacks and counts them, instead of letting
 * them end the process. Resolves to the first one, after which the state of the process cannot be trusted.
 */
export function takeUncaughtErrors(log: Logger): Promise<unknown> {
  return new Promise((resolve) => {
    let lines = 0;
    process.on("uncaughtException", (error: unknown, origin) => {
      // An error thrown in this handler would end the process immediately.
      try {
        countUncaughtError(origin === "unhandledRejection" ? "rejection" : "exception");
        if (lines++ < maxLines) {
          log.fatal({ err: error, stack: findFrames(error) }, "uncaught error: this is a bug in bmaas");
        }
      } catch {
        // The log itself fails.
      }
      resolve(error);
    });
  });
}

/** Returns the stack frames of an error, without its message, which may quote data from the database. */
function findFrames(error: unknown): string[] {
  const lines = (error instanceof Error ? error.stack : undefined)?.split("\n") ?? [];
  return lines.slice(1 + lines.findLastIndex((line) => !/^ {4}at /.test(line))).map((line) => line.trim());
}

/** Runs `close`, which may fail or hang, and exits the process with status 1. */
export async function endAfterUncaughtError(log: Logger, close: () => Promise<void>): Promise<never> {
  log.info("exiting because of an uncaught error");
  setTimeout(() => {
    log.error("exiting at once: not everything closed in time");
    process.exit(1);
  }, endTimeoutMs);
  try {
    await close();
  } catch (error) {
    log.error({ err: error }, "could not close everything");
  }
  process.exit(1);
}
