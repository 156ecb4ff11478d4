/** The field for a filter whose conditions stand in the URL. */
import { useMemo } from "react";
import type { TermRules } from "../../../src/contract/selector-terms.ts";
import { ChipFilter } from "./chip-filter.tsx";
import type { ConditionSearch } from "./condition-search.ts";
import { addCondition, readConditions } from "./conditions.ts";

/** Shows the conditions as chips, and takes further ones. */
export function ConditionFilter<Part>(props: {
  readonly rules: TermRules<Part>;
  readonly conditions: readonly string[] | undefined;
  readonly placeholder: string;
  /** Called with the new conditions; undefined for none. */
  readonly onChange: (search: ConditionSearch) => void;
}) {
  const { rules, conditions = [], placeholder, onChange } = props;
  return (
    <ChipFilter
      label="Filter"
      placeholder={placeholder}
      chips={conditions.map((text) => ({ text }))}
      suggestions={rules.words}
      onAdd={(text) => {
        const next = addCondition(conditions, text, rules);
        if (typeof next === "string") return next;
        onChange({ filter: next });
        return undefined;
      }}
      onRemove={(text) => {
        const rest = conditions.filter((each) => each !== text);
        onChange(rest.length > 0 ? { filter: rest } : {});
      }}
    />
  );
}

/** Returns the conditions that the page knows. */
export function useConditions<Part>(search: ConditionSearch, rules: TermRules<Part>): ConditionSearch {
  return useMemo(() => readConditions(search, rules), [search, rules]);
}
