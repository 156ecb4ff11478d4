/** Columns of a statement's input: each names its parameter, its PostgreSQL type and where its values come from in one place. */

/** A column's PostgreSQL type and its value in one row; undefined stands for null. */
export type InputColumn<Row> = readonly [type: string, read: (row: Row) => unknown];

/** Rows that a statement takes as one array for each column. */
export interface InputColumns<Row> {
  /** The arrays as `unnest` takes them: "$1::uuid[], $2::bytea[]". */
  readonly parameters: string;
  /** The columns' names, in the order of the parameters. */
  readonly names: string;
  /** How many parameters the columns take; a statement's other parameters follow. */
  readonly count: number;
  /** Returns the parameters' values. */
  toValues(rows: readonly Row[]): unknown[][];
}

/** Numbers the columns from $1 in the order in which they are given, by their names in the statement. */
export function defineColumns<Row>(columns: Readonly<Record<string, InputColumn<Row>>>): InputColumns<Row> {
  const entries = Object.entries(columns);
  return {
    parameters: entries.map(([, [type]], index) => `$${index + 1}::${type}[]`).join(", "),
    names: entries.map(([name]) => name).join(", "),
    count: entries.length,
    toValues: (rows) => entries.map(([, [, read]]) => rows.map(read)),
  };
}

/** Brings bytes into the form that pg writes as bytea within an array; it would write other Uint8Arrays as nested arrays. */
export function toBuffer(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
