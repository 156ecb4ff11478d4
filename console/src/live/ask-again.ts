/** Asks the server again for what is shown, and bounds how much that is. */
import type { QueryClient, QueryKey } from "@tanstack/react-query";

/** Most pages of a list that are read again without being asked for: a list of hundreds would take minutes. */
const maxPages = 5;

/** Returns whether so much of a list was read that nobody reads it again but its reader. */
export function isLong({ state }: { readonly state: { readonly data: unknown } }): boolean {
  const { pages = [] } = (state.data ?? {}) as { readonly pages?: readonly unknown[] };
  return pages.length > maxPages;
}

/**
 * Asks again for all answers that are shown, or for those whose key begins with `queryKey`. Long lists are only marked,
 * and say themselves that they may be behind.
 */
export async function askAgain(queries: QueryClient, queryKey: QueryKey = []): Promise<void> {
  await Promise.all([
    queries.invalidateQueries({ queryKey, predicate: isLong, refetchType: "none" }),
    queries.invalidateQueries({ queryKey, predicate: (query) => !isLong(query) }),
  ]);
}
