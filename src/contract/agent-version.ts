/** Compares versions of agents. Runs in Node and in browsers. */

/**
 * Returns the numbers of the first version in a text, at most four: 1, 2 and 3 of "bmaas 1.2.3-rc1". Returns undefined
 * for a text without digits.
 */
export function findVersion(text: string): readonly number[] | undefined {
  const [version] = /\d{1,9}(?:\.\d{1,9}){0,3}/.exec(text) ?? [];
  return version?.split(".").map(Number);
}

/** Returns whether version `a` is older than version `b`. Missing numbers count as 0. */
export function isOlder(a: readonly number[], b: readonly number[]): boolean {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const [left = 0, right = 0] = [a[index], b[index]];
    if (left !== right) return left < right;
  }
  return false;
}
