/** Parsers of arguments and options. Each throws commander's InvalidArgumentError for an invalid text. */
import { InvalidArgumentError } from "commander";
import { parseDurationMs } from "../../contract/amounts.ts";
import { InvalidFieldError } from "../../contract/installation-rules.ts";
import { parseLabelKey, parseLabelValue } from "../../contract/labels.ts";
import { parseMachineId } from "../../contract/machine-id.ts";

/** Converts a parser that throws for an invalid text to a parser for commander. */
export function argumentParser<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      // Commander writes a sentence before this one, and an InvalidFieldError has no subject.
      const subject = error instanceof InvalidFieldError ? "It " : "";
      throw new InvalidArgumentError(`${subject}${(error as Error).message}.`);
    }
  };
}

/** Parses a part of an argument. Throws an error whose message begins with that part in quotation marks. */
export function parseQuoted<T>(text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`${JSON.stringify(text.slice(0, 80))} ${(error as Error).message}`);
  }
}

/** Parses a machine's id. */
export const machineIdArgument = argumentParser(parseMachineId);

/** Parses one of several machine ids, and adds it to those before unless it is among them. */
export function machineIdsArgument(text: string, before: readonly string[] = []): readonly string[] {
  return [...new Set([...before, machineIdArgument(text)])];
}

/** Parses a duration such as `15m` to milliseconds. */
export const durationArgument = argumentParser(parseDurationMs);

/** Parses a generation, 1 or more. */
export const generationArgument = argumentParser((text) => {
  const generation = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  if (generation < 1n || generation >= 2n ** 63n) throw new Error("a generation is a whole number from 1 up");
  return generation;
});

/** Parses a maximum number, 1 or more. */
export const limitArgument = argumentParser((text) => {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error("expected a whole number from 1 up");
  return Number(text);
});

/** Parses what to search for: a text without the spaces around it. */
export const searchArgument = argumentParser((text) => {
  const trimmed = text.trim();
  if (trimmed === "") throw new Error("write what to look for, such as a serial number");
  if (trimmed.length > 255 || /\p{Cc}/u.test(trimmed)) {
    throw new Error("write at most 255 characters, all of them on one line");
  }
  return trimmed;
});

/** Parses a label as KEY=VALUE, and adds it to those before. */
export function labelArgument(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, key, value] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError("expected KEY=VALUE.");
  return argumentParser(() => ({
    ...before,
    [parseQuoted(key, parseLabelKey)]: parseQuoted(value, parseLabelValue),
  }))(text);
}

/** Parses keys of labels, separated by commas, and adds those that are not among the ones before. */
export function labelKeysArgument(text: string, before: readonly string[] = []): readonly string[] {
  const keys = argumentParser(() => text.split(",").map((key) => parseQuoted(key, parseLabelKey)))(text);
  return [...new Set([...before, ...keys])];
}

/** Collects the texts of an option that may be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
