/** Columns of a statement's input. Each defines its name, its PostgreSQL type and its value in one place. */

/** A column's PostgreSQL type and its value in one row; undefined stands for null. */
export type InputColumn<Row> = readonly [type: string, read: (row: Row) => unknown];

/** Rows that a statement takes as one array for each column. */
export interface InputColumns<Row> {
  /** The arrays as arguments of `unnest`, such as "$1::uuid[], $2::bytea[]". */
  readonly parameters: string;
  /** The columns' names, in the order of the parameters. */
  readonly names: string;
  /** Number of the columns' parameters. A statement's other parameters follow them. */
  readonly count: number;
  /** Returns the parameters' values. */
  toValues(rows: readonly Row[]): unknown[][];
}

/** Defines the columns of a statement, by their names in it. Numbers their parameters from $1, in the given order. */
export function defineColumns<Row>(columns: Readonly<Record<string, InputColumn<Row>>>): InputColumns<Row> {
  const entries = Object.entries(columns);
  return {
    parameters: entries.map(([, [type]], index) => `$${index + 1}::${type}[]`).join(", "),
    names: entries.map(([name]) => name).join(", "),
    count: entries.length,
    toValues: (rows) => entries.map(([, [, read]]) => rows.map(read)),
  };
}

/**
 * Returns the bytes as a Buffer, which pg writes as bytea within an array. It would write another Uint8Array as a
 * nested array.
 */
export function toBuffer(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
