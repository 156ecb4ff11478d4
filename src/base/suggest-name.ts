/** Finds the name that somebody meant who misspelt it. */
import leven from "leven";

/** Returns the known name that is a typing mistake or two away, for short names fewer, or differs in case and separators only. */
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
