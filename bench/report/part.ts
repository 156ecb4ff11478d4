/** What one part of a run has to show. */

/** A part's tables, its charts and what was to be reached. */
export interface Part {
  readonly tables: readonly Table[];
  readonly charts: readonly BarChart[];
  readonly targets: readonly Target[];
  /** What was left out or went otherwise than it should, and why; whole sentences. */
  readonly notes: readonly string[];
}

/** Cells as text. */
export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One bar for each row. */
export interface BarChart {
  /** With what the bars count. */
  readonly title: string;
  readonly bars: readonly Bar[];
}

/** A value with its spread. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
  /** Drawn in the colour that stands out. */
  readonly isOurs: boolean;
}

/** A figure that is to be reached. */
export interface Target {
  readonly what: string;
  /** "at least" or "at most", and the bound. */
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
  readonly unit?: string;
  /** NaN when it could not be measured. */
  readonly value: number;
}

/** Whether it is. */
export function isReached({ bound, value }: Target): boolean {
  return "atLeast" in bound ? value >= bound.atLeast : value <= bound.atMost;
}
