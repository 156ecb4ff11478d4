/** Parses the text of a seed file into machines, or into a list of all its mistakes. */

import { suggestName } from "../base/suggest-name.ts";
import { explainIssue } from "./explain-issue.ts";
import { findDuplicates } from "./find-duplicates.ts";
import { type FleetMachine, fieldsAt, fleetSchema } from "./fleet-schema.ts";
import { type Path, type Problem, SeedFileError } from "./problem.ts";
import { parseSeedDocument, type SeedDocument } from "./seed-document.ts";

/** The machines of a valid file. */
export interface Fleet {
  /** Machines in the file's order. */
  readonly machines: readonly FleetMachine[];
  /** Returns a problem at the value at `path`, for mistakes that only the database shows. */
  problem(path: Path, message: string): Problem;
  /** Returns the line on which the value at `path` starts. */
  lineOf(path: Path): number;
}

/** Parses and checks a YAML or JSON text. Throws SeedFileError with every mistake in it. */
export function parseFleet(text: string): Fleet {
  const document = parseSeedDocument(text);
  if (document.value === null) {
    throw new SeedFileError([document.problem([], "the file is empty; list the machines under `machines:`")]);
  }
  const result = fleetSchema.safeParse(document.value, { error: explainIssue });
  const problems = [
    ...(result.error?.issues ?? []).flatMap((issue) => describeIssue(document, issue)),
    ...findDuplicates(document),
  ];
  if (problems.length > 0) throw new SeedFileError(removeRepeated(problems));
  if (result.data === undefined) throw new Error("a file without mistakes has no machines");
  return { machines: result.data.machines, problem: document.problem, lineOf: document.lineOf };
}

function describeIssue(
  document: SeedDocument,
  issue: { code: string; path: Path; message: string; keys?: string[] },
): Problem[] {
  if (issue.code !== "unrecognized_keys") return [document.problem(issue.path, issue.message)];
  const known = fieldsAt(issue.path);
  return (issue.keys ?? []).map((name) => document.problemAtName([...issue.path, name], explainUnknown(name, known)));
}

function explainUnknown(name: string, known: readonly string[]): string {
  if (name === "<<") return "merge keys are not supported; use an alias (*name) for a whole value";
  const meant = suggestName(name, known);
  return `is not a known field; ${meant === undefined ? `there are ${known.join(", ")}` : `did you mean ${meant}?`}`;
}

/** Removes repeated problems: a mistake in an anchored value counts once, however many aliases refer to it. */
function removeRepeated(problems: readonly Problem[]): Problem[] {
  const seen = new Map<string, Problem>();
  for (const problem of problems) {
    const place = `${problem.line}:${problem.column} ${problem.field.slice(problem.field.lastIndexOf(".") + 1)} ${problem.message}`;
    if (!seen.has(place)) seen.set(place, problem);
  }
  return [...seen.values()];
}
