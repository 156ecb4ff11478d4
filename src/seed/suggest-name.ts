/** Finds the name that somebody meant who misspelt it. */

/** Returns the known name that is a typing mistake or two away, for short names fewer, or differs in case and separators only. */
export function suggestName(name: string, known: readonly string[]): string | undefined {
  const plain = simplify(name);
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(plain, simplify(candidate)) }))
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

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i++) {
    const current = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const substitution = (previous[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j + 1] ?? 0) + 1, (current[j] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
