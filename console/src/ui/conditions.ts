/**
 * Filters that are lists of conditions such as "state=failed". The URL keeps each condition as it is typed; a page says
 * by `parse` what a condition means.
 */

import type { ConditionSearch } from "./condition-search.ts";

/** What a page's conditions are. */
export interface ConditionRules<Part> {
  /** Returns what a condition means. Throws an Error with a sentence for people. */
  readonly parse: (condition: string) => Part;
  /** Keys of which several conditions may be in force; a condition with another key takes the place of the former. */
  readonly repeatable: readonly string[];
  /** What may be typed. */
  readonly suggestions: readonly string[];
}

/** Reads a filter from the search parameters, and drops conditions that the page does not know. */
export function readConditions<Part>(
  search: { readonly filter?: unknown },
  { parse }: ConditionRules<Part>,
): ConditionSearch {
  const known = [search.filter].flat().filter((each): each is string => {
    if (typeof each !== "string") return false;
    try {
      parse(each);
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
  { parse, repeatable }: ConditionRules<Part>,
): readonly string[] | string {
  try {
    parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  const { key } = splitCondition(text);
  const kept = conditions.filter((each) => splitCondition(each).key !== key || repeatable.includes(key));
  return [...new Set([...kept, text])];
}

/** Splits a condition at its first "="; without one, the value is empty. */
export function splitCondition(text: string): { readonly key: string; readonly value: string } {
  const [, key = "", value = ""] = /^([^=]*)=?(.*)$/s.exec(text) ?? [];
  return { key: key.trim(), value: value.trim() };
}

/** Returns a value that is one of `names`. Throws an Error that lists them. */
export function oneOf<Value>(find: (name: string) => Value | undefined, name: string, names: readonly string[]): Value {
  const value = find(name);
  if (value === undefined) throw new Error(`There is no "${name}": there are ${names.join(", ")}.`);
  return value;
}
