/** The program's log: JSON lines for machines, readable lines on a terminal, secrets in neither. */
import { isatty } from "node:tty";
import { type Logger, pino } from "pino";
import pretty from "pino-pretty";
import type { LogLevel } from "./config.ts";
import { describeError } from "./error-text.ts";

/** Standard output and standard error. */
export type LogDescriptor = 1 | 2;

/** What a log that cannot be written holds back until it can be, in characters; what comes after that is lost. */
const maxHeldBack = 1024 * 1024;

/** Makes the log of a command on a file descriptor; a command whose standard output is its result logs on 2. */
export function createLogger(level: LogLevel, descriptor: LogDescriptor): Logger {
  const destination = isatty(descriptor)
    ? pretty({ destination: descriptor, sync: true, translateTime: "SYS:HH:MM:ss.l" })
    : openDestination(descriptor);
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: describeError } },
    destination,
  );
}

function openDestination(descriptor: LogDescriptor) {
  const destination = pino.destination({ dest: descriptor, sync: true, maxLength: maxHeldBack });
  // A full disk must end neither a server nor an installation that is under way.
  destination.on("error", () => {});
  return destination;
}
