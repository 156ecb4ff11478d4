/** Parsers of arguments and options. Each throws commander's InvalidArgumentError for an invalid text. */
import { InvalidArgumentError } from "commander";
import { parseDurationMs } from "../../contract/amounts.ts";
import { InvalidFieldError } from "../../contract/installation-rules.ts";
import { parseLabelKey, parseLabelValue } from "../../contract/labels.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import { note } from "./output.ts";

/** Converts a parser that throws for an invalid text to a parser for commander. */
export function argumentParser<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      // Commander writes a sentence before this one, and an InvalidFieldError has no subject.
      const subject = error instanceof InvalidFieldError ? "It " : "";
      const sentence = `${subject}${(error as Error).message}.`;
      throw new InvalidArgumentError(sentence.charAt(0).toUpperCase() + sentence.slice(1));
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

/** Adds an id to those before. An id that is among them counts once, and the user is told so. */
export function addOnce(id: string, before: readonly string[] = []): readonly string[] {
  if (!before.includes(id)) return [...before, id];
  note(`bmaas: ${id} is named more than once, and counts once`);
  return before;
}

/** Parses one of several machine ids, and adds it to those before. */
export function machineIdsArgument(text: string, before: readonly string[] = []): readonly string[] {
  return addOnce(machineIdArgument(text), before);
}

/** Parses a duration such as `15m` to milliseconds. */
export const durationArgument = argumentParser(parseDurationMs);

/** Parses a duration for which something is to last, to milliseconds. */
export const lastingArgument = argumentParser((text) => {
  const durationMs = parseDurationMs(text);
  if (durationMs === 0) throw new Error("it must last for longer than that");
  return durationMs;
});

const datePattern = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * Parses a time that an operator looks back to, as an age such as `15m` or as a date such as `2026-03-01T12:30Z`, to
 * milliseconds since the epoch. A date without an offset is one of UTC.
 */
export const pastTimeArgument = argumentParser((text) => {
  const [, day, time = "00:00", offset = "Z"] = datePattern.exec(text) ?? [];
  if (day === undefined) {
    if (text.includes("-")) throw new Error("expected a date such as 2026-03-01 or 2026-03-01T12:30Z");
    return Date.now() - parseDurationMs(text);
  }
  const timeMs = Date.parse(`${day}T${time}${offset}`);
  // JavaScript takes February 30 for March 2.
  const isDay = new Date(`${day}T00:00Z`).toJSON()?.startsWith(day) === true;
  if (Number.isNaN(timeMs) || !isDay || timeMs < firstTimeMs) throw new Error("there is no such time");
  return timeMs;
});

/** The contract has no earlier times. */
const firstTimeMs = Date.parse("0001-01-01T00:00Z");

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
  if (key === undefined || value === undefined) throw new InvalidArgumentError("Expected KEY=VALUE.");
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
