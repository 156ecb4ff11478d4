/** Asks the server again for what is shown, and bounds how much that is. */
import type { Query, QueryClient, QueryKey } from "@tanstack/react-query";

/** Most pages of a list that are read again without being asked for: a list of hundreds would take minutes. */
const maxPages = 5;

/** Returns whether so much of a list was read that nobody reads it again but its reader. */
export function isLong({ state }: { readonly state: { readonly data: unknown } }): boolean {
  const { pages = [] } = (state.data ?? {}) as { readonly pages?: readonly unknown[] };
  return pages.length > maxPages;
}

/**
 * Asks again for all answers that are shown, or for those whose key begins with `queryKey`. Long lists are only marked,
 * and say themselves that they may be behind. An answer that is on its way may be older than what has happened. The
 * first one is shown all the same when it comes, and asked for again then; a later one is not waited for.
 */
export async function askAgain(queries: QueryClient, queryKey: QueryKey = []): Promise<void> {
  const isFirst = ({ state }: Query) => state.data === undefined;
  const awaited = queries
    .getQueryCache()
    .findAll({ queryKey, type: "active", fetchStatus: "fetching", predicate: isFirst });
  await Promise.all([
    queries.invalidateQueries({ queryKey, predicate: isLong, refetchType: "none" }),
    queries.invalidateQueries({ queryKey, predicate: (query) => !isLong(query) }),
  ]);
  await Promise.all(awaited.map((query) => queries.invalidateQueries({ queryKey: query.queryKey, exact: true })));
}

/** Asks again for all that is shown and could not be read, but for long lists, of which the reader decides. */
export async function askForMissing(queries: QueryClient): Promise<void> {
  const isMissing = (query: Query) =>
    (query.state.status === "error" || query.state.fetchFailureCount > 0) && !isLong(query);
  await queries.refetchQueries({ type: "active", predicate: isMissing });
}
