/** The filter of the machines' page, as its URL has it. */

import type { MachineState } from "@api/machine_pb.js";
import { type MachineFilter, MachineFilterSchema } from "@api/machine_service_pb.js";
import { create } from "@bufbuild/protobuf";
import { stateRows } from "../../ui/machine-state.tsx";

/** Search parameters of the page. All may be absent. */
export interface MachinesSearch {
  /** Names of states, such as "stale". */
  readonly state?: readonly string[];
  readonly provider?: string;
  readonly location?: string;
}

/** Reads the search parameters, and drops what the page does not know. */
export function readMachinesSearch(search: Record<string, unknown>): MachinesSearch {
  const states = [search.state].flat().filter((name) => typeof name === "string" && findState(name) !== undefined);
  return {
    ...(states.length > 0 && { state: states as string[] }),
    ...(typeof search.provider === "string" && { provider: search.provider }),
    ...(typeof search.location === "string" && { location: search.location }),
  };
}

/** Returns the filter of the API. */
export function toMachineFilter({ state = [], provider, location }: MachinesSearch): MachineFilter {
  return create(MachineFilterSchema, {
    states: state.map(findState).filter((each) => each !== undefined),
    ...(provider !== undefined && { provider }),
    ...(location !== undefined && { location }),
  });
}

/** Returns each condition as it would be typed. */
export function listConditions({ state = [], provider, location }: MachinesSearch): string[] {
  return [
    ...state.map((name) => `state=${name}`),
    ...(provider === undefined ? [] : [`provider=${provider}`]),
    ...(location === undefined ? [] : [`location=${location}`]),
  ];
}

/** Returns the search with a further condition, or what is wrong with its text. */
export function addCondition(search: MachinesSearch, text: string): MachinesSearch | string {
  const [, key, value] = /^(\w+)\s*=\s*(.+)$/.exec(text) ?? [];
  if (key === undefined || value === undefined) return "Write a condition as name=value, such as state=stale.";
  if (key === "provider" || key === "location") return { ...search, [key]: value };
  if (key !== "state") return `There is no condition "${key}": there are state, provider and location.`;
  if (findState(value) === undefined) return `There is no state "${value}".`;
  return { ...search, state: [...new Set([...(search.state ?? []), value])] };
}

/** Returns the search without a condition. */
export function removeCondition(search: MachinesSearch, text: string): MachinesSearch {
  const rest = listConditions(search).filter((each) => each !== text);
  return rest.reduce<MachinesSearch>((sum, each) => {
    const next = addCondition(sum, each);
    return typeof next === "string" ? sum : next;
  }, {});
}

/** Names of states as filters have them. */
export const stateNames: readonly string[] = Object.values(stateRows)
  .map(({ name }) => name)
  .filter((name) => name !== "unknown");

function findState(name: string): MachineState | undefined {
  const [state] = Object.entries(stateRows).find(([, row]) => row.name === name) ?? [];
  return state === undefined || state === "0" ? undefined : (Number(state) as MachineState);
}
