/** Statistics over rounds. */

/** Returns the middle value, or the upper one of two. Returns NaN for no values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/**
 * Returns the median of the rounds' ratios `above / below`. A slow round is slow for both values, so their ratio is
 * more stable than either.
 */
export function medianRatio(above: readonly number[], below: readonly number[]): number {
  return median(above.map((value, round) => value / (below[round] ?? Number.NaN)));
}
