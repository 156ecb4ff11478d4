/** The filter and the columns of the machines' page, as its URL has them. */

import { type MachineFilter, MachineFilterSchema } from "@api/machine_service_pb.js";
import { create } from "@bufbuild/protobuf";
import { addCondition as addTo, type ConditionRules, readConditions, splitCondition } from "../../ui/conditions.ts";
import {
  joinMachineConditions,
  type MachineCondition,
  machineSuggestions,
  parseMachineCondition,
  repeatableMachineKeys,
} from "../../ui/machine-selector.ts";
import { stateRows } from "../../ui/machine-state.tsx";

/** Search parameters of the page. All may be absent. */
export interface MachinesSearch {
  /** Names of states, such as "stale". */
  readonly state?: readonly string[];
  readonly provider?: string;
  readonly location?: string;
  /** All other conditions, as the command line's selectors have them, such as "label.rack=r12". */
  readonly filter?: readonly string[];
  /** Ids of the columns that are shown; the usual ones without it. */
  readonly columns?: readonly string[];
}

/** What a condition may be. */
const rules: ConditionRules<MachineCondition> = {
  parse: (text) => {
    const { key, value } = splitCondition(text);
    if (!/^\w+\s*=/.test(text) && !/^!?(label\.|missing$)/.test(text) && !/^[\w-]+=/.test(text)) {
      throw new Error("Write a condition as name=value, such as state=stale.");
    }
    if (key === "state" && !stateNames.includes(value)) throw new Error(`There is no state "${value}".`);
    return parseMachineCondition(text);
  },
  repeatable: repeatableMachineKeys,
  suggestions: machineSuggestions,
};

/** Reads the search parameters, and drops what the page does not know. */
export function readMachinesSearch(search: Record<string, unknown>): MachinesSearch {
  const states = [search.state].flat().filter((name) => typeof name === "string" && stateNames.includes(name));
  const columns = [search.columns].flat().filter((id) => typeof id === "string");
  return {
    ...(states.length > 0 && { state: states as string[] }),
    ...(typeof search.provider === "string" && { provider: search.provider }),
    ...(typeof search.location === "string" && { location: search.location }),
    ...readConditions(search, rules),
    ...(columns.length > 0 && { columns: columns as string[] }),
  };
}

/** Returns the filter of the API. */
export function toMachineFilter(search: MachinesSearch): MachineFilter {
  return create(MachineFilterSchema, joinMachineConditions(listConditions(search).map(rules.parse)));
}

/** Returns each condition as it would be typed. */
export function listConditions({ state = [], provider, location, filter = [] }: MachinesSearch): string[] {
  return [
    ...state.map((name) => `state=${name}`),
    ...(provider === undefined ? [] : [`provider=${provider}`]),
    ...(location === undefined ? [] : [`location=${location}`]),
    ...filter,
  ];
}

/** Returns the search with a further condition, or what is wrong with its text. */
export function addCondition(search: MachinesSearch, text: string): MachinesSearch | string {
  const next = addTo(listConditions(search), text, rules);
  return typeof next === "string" ? next : toSearch(next, search);
}

/** Returns the search without a condition. */
export function removeCondition(search: MachinesSearch, text: string): MachinesSearch {
  return toSearch(
    listConditions(search).filter((each) => each !== text),
    search,
  );
}

/** Returns the conditions as one selector of the command line; undefined if there are none. */
export function toSelector(search: MachinesSearch): string | undefined {
  const conditions = listConditions(search);
  return conditions.length === 0 ? undefined : conditions.map((each) => each.replaceAll(",", "\\,")).join(",");
}

/** What may be typed. */
export const suggestions: readonly string[] = rules.suggestions;

/** Names of states as filters have them. */
const stateNames: readonly string[] = Object.values(stateRows)
  .map(({ name }) => name)
  .filter((name) => name !== "unknown");

/** Gives states, provider and location parameters of their own, by which other pages link here. */
function toSearch(conditions: readonly string[], { columns }: MachinesSearch): MachinesSearch {
  const valuesOf = (key: string) =>
    conditions.map(splitCondition).flatMap((each) => (each.key === key ? [each.value] : []));
  const [state, [provider], [location]] = [valuesOf("state"), valuesOf("provider"), valuesOf("location")];
  const filter = conditions.filter((each) => !["state", "provider", "location"].includes(splitCondition(each).key));
  return {
    ...(state.length > 0 && { state }),
    ...(provider !== undefined && { provider }),
    ...(location !== undefined && { location }),
    ...(filter.length > 0 && { filter }),
    ...(columns && { columns }),
  };
}
