/** Search parameters of pages that leave out what has ended. */
export interface EndedSearch {
  /** Whether what has ended is listed too. */
  readonly ended?: true;
}

/** Reads the search parameters, and drops the rest. */
export function readEndedSearch(search: Record<string, unknown>): EndedSearch {
  return search.ended === true ? { ended: true } : {};
}
