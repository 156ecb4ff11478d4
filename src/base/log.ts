/** The program's log: JSON lines for machines, readable lines on a terminal. `describeError` decides what an error may show. */
import { isatty } from "node:tty";
import { type LevelWithSilent, type Logger, pino } from "pino";
import pretty from "pino-pretty";
import { describeError } from "./error-text.ts";
import { printableBlock, printableJson } from "./printable.ts";

/** Standard output and standard error. */
export type LogDescriptor = 1 | 2;

/** Characters that the log keeps while it cannot be written. It drops what comes after that. */
const maxHeldBack = 1024 * 1024;

/** Creates the log of a command. A command that prints its result on standard output logs on descriptor 2. */
export function createLogger(level: LevelWithSilent, descriptor: LogDescriptor): Logger {
  const isTerminal = isatty(descriptor);
  const destination = isTerminal
    ? pretty({ destination: descriptor, sync: true, translateTime: "SYS:HH:MM:ss.l" })
    : openDestination(descriptor);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: describeError },
      hooks: { streamWrite: isTerminal ? escapeForTerminal : printableJson },
    },
    destination,
  );
}

/** What agents and servers say is in the log, and must do nothing to the terminal that shows it. */
function escapeForTerminal(line: string): string {
  const show = (_name: string, value: unknown) => (typeof value === "string" ? printableBlock(value) : value);
  return `${JSON.stringify(JSON.parse(line, show))}\n`;
}

function openDestination(descriptor: LogDescriptor) {
  const destination = pino.destination({ dest: descriptor, sync: true, maxLength: maxHeldBack });
  // A full disk must end neither a server nor an installation that is under way.
  destination.on("error", () => {});
  return destination;
}
