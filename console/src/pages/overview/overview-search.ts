/** How the overview groups machines, as its URL has it. */

/** Search parameters of the page. */
export interface OverviewSearch {
  /** Key of a label by which machines are grouped; by provider and location without one. */
  readonly by?: string;
}

/** Reads the search parameters, and drops what the page does not know. */
export function readOverviewSearch(search: Record<string, unknown>): OverviewSearch {
  return typeof search.by === "string" && search.by !== "" ? { by: search.by } : {};
}
