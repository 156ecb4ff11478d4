/** The filter of the page of holds: conditions on the machines that are held. */
import type { ConditionSearch } from "../../ui/condition-search.ts";
import type { ConditionRules } from "../../ui/conditions.ts";
import {
  joinMachineConditions,
  type MachineCondition,
  machineSuggestions,
  parseMachineCondition,
  repeatableMachineKeys,
} from "../../ui/machine-selector.ts";

/** What a condition may be. */
export const holdRules: ConditionRules<MachineCondition> = {
  parse: (text) => {
    if (text.startsWith("held=")) throw new Error("This page lists machines that are held, and no others.");
    return parseMachineCondition(text);
  },
  repeatable: repeatableMachineKeys,
  suggestions: machineSuggestions.filter((each) => !each.startsWith("held=")),
};

/** Returns the filter of the API. */
export function toHoldsFilter({ filter = [] }: ConditionSearch): MachineCondition {
  return joinMachineConditions([...filter.map(holdRules.parse), { held: true }]);
}

/** Returns the selector of the command line. */
export function toHoldsSelector({ filter = [] }: ConditionSearch): string {
  return ["held=yes", ...filter.map((each) => each.replaceAll(",", "\\,"))].join(",");
}
