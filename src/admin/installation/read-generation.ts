/** How requests leave a generation out. */

/** A generation as queries take it; 0 in a request names none. */
export function readGeneration(generation: bigint): bigint | undefined {
  return generation === 0n ? undefined : generation;
}
