/** Parses limits that are made of durations. */
import { suggestName } from "../base/suggest-name.ts";
import { parseDurationMs } from "../contract/amounts.ts";
import { machineStateNames } from "../contract/machine-states.ts";
import { InvalidValueError } from "./values.ts";

/** How long machines may be in a state, in seconds, by the state. */
export type StateLimits = Readonly<Partial<Record<(typeof machineStateNames)[number], number>>>;

/** Parses limits such as `installation_given=10m, stale=1d`. Throws InvalidValueError with every mistake. */
export function parseStateLimits(text: string): StateLimits {
  const limits = new Map<string, number>();
  const mistakes: string[] = [];
  for (const part of text.split(",").map((each) => each.trim())) {
    try {
      const [state, seconds] = readLimit(part);
      if (limits.has(state)) mistakes.push(`${state} is given twice`);
      limits.set(state, seconds);
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      mistakes.push(error.message);
    }
  }
  if (mistakes.length > 0) throw new InvalidValueError(mistakes.join("; "));
  return Object.fromEntries(limits);
}

function readLimit(text: string): [state: string, seconds: number] {
  const [, name, duration] = /^([^=]*)=(.*)$/.exec(text) ?? [];
  if (name === undefined || duration === undefined) {
    throw new InvalidValueError(`${JSON.stringify(text.slice(0, 80))} is not STATE=DURATION, for example stale=1h`);
  }
  const state = machineStateNames.find((known) => known === name);
  if (state === undefined) {
    const meant = suggestName(name, machineStateNames);
    const hint = meant === undefined ? ` (there are ${machineStateNames.join(", ")})` : `, did you mean ${meant}?`;
    throw new InvalidValueError(`${JSON.stringify(name.slice(0, 80))} is not a state${hint}`);
  }
  const seconds = readSeconds(duration);
  if (seconds < 1) throw new InvalidValueError(`${state} needs a duration of at least 1s`);
  return [state, seconds];
}

function readSeconds(duration: string): number {
  try {
    return Math.round(parseDurationMs(duration) / 1000);
  } catch (error) {
    throw new InvalidValueError((error as Error).message);
  }
}
