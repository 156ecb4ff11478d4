/** The last line of defence: what becomes of a serving process when it has met an error that nobody caught. */
import type { Logger } from "pino";
import { countUncaughtError } from "../metrics/process-metrics.ts";

/** Lines in the log, however many such errors there are. */
const maxLines = 20;
/** Longest that a process takes to end after one, in milliseconds. */
const endTimeoutMs = 10_000;

/**
 * Takes the errors that nobody catches from now on, in callbacks and in promises: they are logged with their stacks and counted, and
 * no longer end the process by themselves. Resolves with the first one, after which nothing that the process holds can be trusted.
 */
export function takeUncaughtErrors(log: Logger): Promise<unknown> {
  return new Promise((resolve) => {
    let lines = 0;
    process.on("uncaughtException", (error: unknown, origin) => {
      // Thrown from here, an error would end the process there and then.
      try {
        countUncaughtError(origin === "unhandledRejection" ? "rejection" : "exception");
        if (lines++ < maxLines) {
          log.fatal({ err: error, stack: findFrames(error) }, "nobody caught this error: it is a fault of bmaas");
        }
      } catch {
        // The log itself fails.
      }
      resolve(error);
    });
  });
}

/** Where an error comes from, without its message, which may quote what is in the database. */
function findFrames(error: unknown): string[] {
  const lines = (error instanceof Error ? error.stack : undefined)?.split("\n") ?? [];
  return lines.slice(1 + lines.findLastIndex((line) => !/^ {4}at /.test(line))).map((line) => line.trim());
}

/** Runs `close`, which may fail or hang, and ends the process with status 1. */
export async function endAfterUncaughtError(log: Logger, close: () => Promise<void>): Promise<never> {
  log.info("ending because of an error that nobody caught");
  setTimeout(() => {
    log.error("ending at once: something does not close in time");
    process.exit(1);
  }, endTimeoutMs);
  try {
    await close();
  } catch (error) {
    log.error({ err: error }, "something could not be closed");
  }
  process.exit(1);
}
