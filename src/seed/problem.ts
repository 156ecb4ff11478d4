/** Mistakes of a seed file, each with its place in the file. */

/** Path of a value: names of fields and indices of lists. */
export type Path = readonly PropertyKey[];

/** One mistake, and its place in the file. */
export interface Problem {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 code units. */
  readonly column: number;
  /** The field as in `machines[3].agent.publicKey`; empty for the file as a whole. */
  readonly field: string;
  /** Says what is wrong and what to do. */
  readonly message: string;
}

/** The mistakes of one file, in the file's order. Nothing of the file was written. */
export class SeedFileError extends Error {
  override readonly name = "SeedFileError";
  readonly problems: readonly Problem[];
  /** Whether there are more mistakes than `problems` lists. */
  readonly hasMore: boolean;
  /** Keeps the first `limit` mistakes. */
  constructor(problems: readonly Problem[], limit: number = Number.POSITIVE_INFINITY) {
    const ordered = problems.toSorted((a, b) => a.line - b.line || a.column - b.column).slice(0, limit);
    super(ordered.map((problem) => formatProblem("seed file", problem)).join("\n"));
    this.problems = ordered;
    this.hasMore = problems.length > limit;
  }
}

/** Returns `FILE:LINE:COLUMN: FIELD: MESSAGE`, which editors and terminals turn into a link. */
export function formatProblem(file: string, { line, column, field, message }: Problem): string {
  return `${file}:${line}:${column}: ${field === "" ? "" : `${field}: `}${message}`;
}

/** Returns a path such as `machines[3].agent.publicKey`. Quotes names that are not plain words. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    const name = /^[\w-]{1,64}$/.test(String(step)) ? String(step) : JSON.stringify(String(step).slice(0, 64));
    return text === "" ? name : `${text}.${name}`;
  }, "");
}
