/** Results of one part of a run. */

/** Tables, charts and targets of a part. */
export interface Part {
  readonly tables: readonly Table[];
  readonly charts: readonly BarChart[];
  readonly targets: readonly Target[];
  /** Sentences about what was left out or went wrong, and why. */
  readonly notes: readonly string[];
}

/** A table with cells as text. */
export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A chart with one bar for each row. */
export interface BarChart {
  /** Title, including what the bars count. */
  readonly title: string;
  readonly bars: readonly Bar[];
}

/** A bar: a value and its spread. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
  /** Whether the bar is drawn in the highlight colour. */
  readonly isOurs: boolean;
}

/** A figure with the bound that it should meet. */
export interface Target {
  readonly what: string;
  /** Lower or upper bound. */
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
  readonly unit?: string;
  /** NaN if it could not be measured. */
  readonly value: number;
}

/** Returns whether the value meets the bound. */
export function isReached({ bound, value }: Target): boolean {
  return "atLeast" in bound ? value >= bound.atLeast : value <= bound.atMost;
}
