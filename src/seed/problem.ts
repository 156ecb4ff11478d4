/** What is wrong with a seed file, each mistake with the place that has to change. */

/** The way to a value: names of fields and indices of lists. */
export type Path = readonly PropertyKey[];

/** One mistake, and where it stands in the file. */
export interface Problem {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  /** The field as in `machines[3].agent.publicKey`; empty for the file as a whole. */
  readonly field: string;
  /** What is wrong and what to do. */
  readonly message: string;
}

/** Holds every mistake of one file, in its order; nothing of the file was written. */
export class SeedFileError extends Error {
  override readonly name = "SeedFileError";
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    const ordered = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
    super(ordered.map((problem) => formatProblem("seed file", problem)).join("\n"));
    this.problems = ordered;
  }
}

/** Returns `FILE:LINE:COLUMN: FIELD: MESSAGE`, the form that editors and terminals make a link of. */
export function formatProblem(file: string, { line, column, field, message }: Problem): string {
  return `${file}:${line}:${column}: ${field === "" ? "" : `${field}: `}${message}`;
}

/** Returns a path as in `machines[3].agent.publicKey`; names that are no plain words are quoted. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    const name = /^[\w-]{1,64}$/.test(String(step)) ? String(step) : JSON.stringify(String(step).slice(0, 64));
    return text === "" ? name : `${text}.${name}`;
  }, "");
}
