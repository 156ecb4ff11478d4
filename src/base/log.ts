/**
 * The program's log: readable lines on a terminal, and JSON lines elsewhere. `describeError` decides what it shows of
 * an error.
 */
import { isatty } from "node:tty";
import { type LevelWithSilent, type Logger, pino } from "pino";
import pretty from "pino-pretty";
import { describeError } from "./error-redaction.ts";
import { printableBlock, printableJson } from "./printable.ts";

/** File descriptor of standard output or standard error. */
export type LogDescriptor = 1 | 2;

/** How many characters the log buffers while it cannot be written. It drops later lines. */
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

/**
 * Escapes control characters, since the log contains texts of agents and servers, which must not control the terminal.
 */
function escapeForTerminal(line: string): string {
  const show = (_name: string, value: unknown) => (typeof value === "string" ? printableBlock(value) : value);
  return `${JSON.stringify(JSON.parse(line, show))}\n`;
}

function openDestination(descriptor: LogDescriptor) {
  const destination = pino.destination({ dest: descriptor, sync: true, maxLength: maxHeldBack });
  // A full disk must end neither a server nor a running installation.
  destination.on("error", () => {});
  return destination;
}
