/**
 * Filters that are lists of conditions such as "state=failed": the terms of the command line's selectors. The URL keeps
 * each condition as it is typed.
 */
import { readTerm, splitTerm, type TermRules } from "../../../src/contract/selector-terms.ts";
import type { ConditionSearch } from "./condition-search.ts";

/** Reads a filter from the search parameters, and drops conditions that the page does not know. */
export function readConditions<Part>({ filter = [] }: ConditionSearch, rules: TermRules<Part>): ConditionSearch {
  const known = filter.filter((each) => {
    try {
      readTerm(each, rules);
      return true;
    } catch {
      return false;
    }
  });
  return known.length > 0 ? { filter: [...new Set(known)] } : {};
}

/** Returns the conditions with a further one, or what is wrong with it. */
export function addCondition<Part>(
  conditions: readonly string[],
  text: string,
  rules: TermRules<Part>,
): readonly string[] | string {
  try {
    readTerm(text, rules);
  } catch (error) {
    const { message } = error as Error;
    return message.endsWith("?") ? message : `${message}.`;
  }
  const key = keyOf(text);
  const kept = conditions.filter((each) => keyOf(each) !== key || rules.repeatable.includes(key));
  return [...new Set([...kept, text])];
}

/** Returns the values of the conditions with a key. */
export function valuesOf(conditions: readonly string[], key: string): string[] {
  return conditions.map(splitTerm).flatMap((each) => (each.key === key ? [each.value] : []));
}

/** A condition takes the place of its opposite: "!missing" of "missing", and "label.rack!=r1" of "label.rack=r2". */
function keyOf(condition: string): string {
  return splitTerm(condition).key.replace(/^!|!$/g, "");
}
