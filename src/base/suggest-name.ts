/** Finds the name that a misspelt one was meant to be. */
import leven from "leven";

/**
 * Returns the known name that is closest: at most two typing mistakes away, fewer for a short name, ignoring case and
 * separators. Returns undefined if none is that close.
 */
export function suggestName(name: string, known: readonly string[]): string | undefined {
  const plain = simplify(name);
  const near = known
    .map((candidate) => ({ candidate, distance: leven(plain, simplify(candidate)) }))
    .filter(({ candidate, distance }) => distance <= Math.min(2, Math.floor((candidate.length - 1) / 2)))
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.candidate;
}

function simplify(name: string): string {
  return name
    .slice(0, 64)
    .toLowerCase()
    .replaceAll(/[-_\s]/g, "");
}
