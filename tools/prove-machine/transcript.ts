/** Prints what happens, with the time since the start. The documentation shows it. */
import { stripVTControlCharacters } from "node:util";

const startedAt = performance.now();

/** Prints a line about the proof itself. */
export function tell(text: string): void {
  print("", text);
}

/** Prints what begins now. */
export function tellHeading(title: string): void {
  process.stdout.write(`\n## ${title}\n\n`);
}

/** Prints what an operator types. */
export function tellCommand(command: string): void {
  print("$ ", command);
}

/** Prints a line of what a command answers. */
export function tellAnswer(line: string): void {
  print("  ", line);
}

/** Prints a line of a machine's serial console. */
export function tellConsole({ text, atMs }: { text: string; atMs: number }): void {
  print("| ", text, atMs);
}

/** Seconds since the start. */
export function elapsedSeconds(): number {
  return (performance.now() - startedAt) / 1000;
}

function print(mark: string, text: string, atMs = performance.now()): void {
  const time = ((atMs - startedAt) / 1000).toFixed(1).padStart(6);
  process.stdout.write(`${time}  ${mark}${stripVTControlCharacters(text)}`.trimEnd().concat("\n"));
}
