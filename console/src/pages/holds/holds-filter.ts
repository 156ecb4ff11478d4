/** The filter of the page of holds: conditions on the machines that are held. */
import { type MachineFilterPart, machineTerms } from "../../../../src/contract/machine-selector.ts";
import { joinParts, joinTerms, readTerm, type TermRules } from "../../../../src/contract/selector-terms.ts";
import type { ConditionSearch } from "../../ui/condition-search.ts";

/** What a condition may be: whatever machines are selected by, but for the hold itself. */
export const holdRules: TermRules<MachineFilterPart> = {
  ...machineTerms,
  keys: {
    ...machineTerms.keys,
    held: () => {
      throw new Error("this page lists machines that are held, and no others");
    },
  },
  words: machineTerms.words.filter((word) => !word.startsWith("held=")),
};

/** Returns the filter of the API. */
export function toHoldsFilter({ filter = [] }: ConditionSearch): MachineFilterPart {
  return joinParts([...filter.map((each) => readTerm(each, holdRules)), { held: true }]);
}

/** Returns the selector of the command line. */
export function toHoldsSelector({ filter = [] }: ConditionSearch): string {
  return joinTerms(["held=yes", ...filter]);
}
