/** Options of the repository's own scripts: `npm run NAME -- OPTIONS`. All of them show their help with --help. */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

/** An option with a value. */
export const text = { type: "string" } as const;
/** An option without one. */
export const flag = { type: "boolean", default: false } as const;

/**
 * Parses a script's arguments. With --help prints `help`, and for an unknown or incomplete option what is wrong with
 * it; then it ends the process. `help` begins with the line that runs the script.
 */
export function readScriptOptions<const Options extends ParseArgsOptionsConfig>(
  help: string,
  options: Options,
  args: readonly string[] = process.argv.slice(2),
) {
  if (args.includes("--help")) {
    process.stdout.write(help);
    process.exit();
  }
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    const [command = ""] = /^npm run \S+ --|^npx node \S+/.exec(help) ?? [];
    return fail(`${error instanceof Error ? error.message : String(error)}\n${command} --help shows the options`);
  }
}

/** Returns the number that the option `name` gives. Ends the process if it is no whole number within the bounds. */
export function toInteger(name: string, value: string, least = 1, most = Number.MAX_SAFE_INTEGER): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= least && number <= most) return number;
  const bounds = most === Number.MAX_SAFE_INTEGER ? `from ${least} up` : `from ${least} to ${most}`;
  return fail(`--${name}: "${value}" is no whole number ${bounds}`);
}

/** Returns what the option `name` chooses. Ends the process if it is none of `choices`. */
export function toChoice<Choice extends string>(name: string, value: string, choices: readonly Choice[]): Choice {
  return choices.find((choice) => choice === value) ?? fail(`--${name}: "${value}" is none of ${choices.join(", ")}`);
}

/** Ends the process with a message for whoever started the script wrongly. */
export function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
