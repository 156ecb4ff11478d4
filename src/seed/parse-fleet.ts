/** From the text of a seed file to machines, or to everything that is wrong with it at once. */

import { suggestName } from "../base/suggest-name.ts";
import { explainIssue } from "./explain-issue.ts";
import { findDuplicates } from "./find-duplicates.ts";
import { type FleetMachine, fieldsAt, fleetSchema } from "./fleet-schema.ts";
import { type Path, type Problem, SeedFileError } from "./problem.ts";
import { parseSeedDocument, type SeedDocument } from "./seed-document.ts";

/** The machines of a file that is right in itself. */
export interface Fleet {
  /** In the file's order. */
  readonly machines: readonly FleetMachine[];
  /** A mistake at the value at `path`, for what only the database can tell. */
  problem(path: Path, message: string): Problem;
  /** The line on which the value at `path` starts. */
  lineOf(path: Path): number;
}

/** Checks a YAML or JSON text; throws SeedFileError with every mistake that it has. */
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
  if (name === "<<") return "merge keys are not read; use an alias (*name) for a whole value";
  const meant = suggestName(name, known);
  return `is not a known field; ${meant === undefined ? `there are ${known.join(", ")}` : `did you mean ${meant}?`}`;
}

/** What is wrong inside an anchored value is wrong once, however many aliases stand for it. */
function removeRepeated(problems: readonly Problem[]): Problem[] {
  const seen = new Map<string, Problem>();
  for (const problem of problems) {
    const place = `${problem.line}:${problem.column} ${problem.field.slice(problem.field.lastIndexOf(".") + 1)} ${problem.message}`;
    if (!seen.has(place)) seen.set(place, problem);
  }
  return [...seen.values()];
}
