/** How the texts of arguments and options become values; each parser throws commander's InvalidArgumentError. */
import { InvalidArgumentError } from "commander";
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

/** Texts of an option that may be there several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
