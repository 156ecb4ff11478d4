/**
 * Search parameters of a page whose filter is a list of conditions. This is apart from what the conditions mean, since
 * every page loads the routes.
 */

/** Conditions such as "state=failed", as they are typed. */
export interface ConditionSearch {
  readonly filter?: readonly string[];
}

/** Reads the search parameters. The page drops conditions that it does not know. */
export function readConditionSearch(search: Record<string, unknown>): ConditionSearch {
  const texts = [search.filter].flat().filter((each): each is string => typeof each === "string");
  return texts.length > 0 ? { filter: texts } : {};
}
