/** How the texts of arguments and options become values; each parser throws commander's InvalidArgumentError. */
import { InvalidArgumentError } from "commander";
import { parseLabelKey, parseLabelValue } from "../../contract/labels.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import { parseDurationMs } from "./time.ts";

/** Makes commander's parser of an argument or option from one that throws when the text is wrong. */
export function argumentParser<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(`${(error as Error).message}.`);
    }
  };
}

/** A machine's id. */
export const machineIdArgument = argumentParser(parseMachineId);

/** Machines' ids, one after the other, each of them once. */
export function machineIdsArgument(text: string, before: readonly string[] = []): readonly string[] {
  return [...new Set([...before, machineIdArgument(text)])];
}

/** A duration such as `15m`, in milliseconds. */
export const durationArgument = argumentParser(parseDurationMs);

/** A generation, 1 or more. */
export const generationArgument = argumentParser((text) => {
  const generation = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  if (generation < 1n || generation >= 2n ** 63n) throw new Error("a generation is a whole number from 1 up");
  return generation;
});

/** How many at most, 1 or more. */
export const limitArgument = argumentParser((text) => {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error("expected a whole number from 1 up");
  return Number(text);
});

/** A label as KEY=VALUE, added to those before. */
export function labelArgument(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, key, value] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError("expected KEY=VALUE.");
  return argumentParser(() => ({ ...before, [parseLabelKey(key)]: parseLabelValue(value) }))(text);
}

/** Keys of labels, with commas between. */
export const labelKeysArgument = argumentParser((text) =>
  text.split(",").map((key) => {
    try {
      return parseLabelKey(key);
    } catch (error) {
      throw new Error(`${JSON.stringify(key.slice(0, 80))} ${(error as Error).message}`);
    }
  }),
);

/** Texts of an option that may be there several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
