/** Bulk inserts in pieces, because PostgreSQL takes at most 65,535 parameters in a statement. */

const rowsPerStatement = 1_000;

/** Yields `rows` in order, at most a thousand at a time; nothing for no rows. */
export function* rowBatches<T>(rows: readonly T[]): Generator<T[]> {
  for (let start = 0; start < rows.length; start += rowsPerStatement) yield rows.slice(start, start + rowsPerStatement);
}
