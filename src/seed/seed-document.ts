/** Parses a document of a seed file into plain values, and finds the place of each value in the file. */

import type { YAMLError } from "yaml";
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { formatPath, type Path, type Problem, SeedFileError } from "./problem.ts";
import { type Anchors, findTooDeep, type Locator, type Part, readValues, startOf, tooDeep } from "./yaml-values.ts";

/** A well-formed document, or a part of one, whatever its contents. */
export interface SeedDocument {
  /** Objects, arrays, strings, booleans and nulls. Integers are bigint, other numbers are number. */
  readonly value: unknown;
  /** Returns a problem at the value at `path`, or at the nearest existing value that contains it. */
  problem(path: Path, message: string): Problem;
  /** Returns a problem at the name of the field at `path`. */
  problemAtName(path: Path, message: string): Problem;
  /** Returns the line on which the value at `path` starts. */
  lineOf(path: Path): number;
}

/** Where a text stands in its file, and what is known from the parts before it. */
export interface DocumentContext {
  /** Line and column of the first character, counted from 1. Default: 1. */
  readonly line?: number;
  readonly column?: number;
  /** Anchors of the parts before. Those of this part are added. */
  readonly anchors?: Anchors | undefined;
  /** Whether an alias may stand for nothing, since the parts before are not at hand. */
  readonly isLenient?: boolean;
  /** Whether the file ends with this text, so that it may have been cut off in it. */
  readonly isLast?: boolean;
}

/**
 * Parses a document of YAML 1.2, of which JSON is a subset, or a part of one that is a document by itself. Throws
 * SeedFileError if the text is not well-formed.
 */
export function parseSeedDocument(text: string, context: DocumentContext = {}): SeedDocument {
  const { anchors, isLenient = false, isLast = false } = context;
  const lines = new LineCounter();
  const at = createLocator(lines, context);
  const document = parseYaml(text, lines, at);
  const end = isLast ? text.trimEnd().length : Number.POSITIVE_INFINITY;
  const cutOff = (offset: number) => (offset >= end ? "; the file ends here, so it may have been cut off" : "");
  const part = readValues(document.contents, at, anchors);
  const problems = [
    ...[...document.errors, ...document.warnings].map((error) =>
      at(error.pos[0], "", explain(error) + cutOff(error.pos[0])),
    ),
    ...findDirectiveProblems(document).map((message) => at(0, "", message)),
    ...(isLenient ? [] : part.problems),
  ];
  if (problems.length > 0) throw new SeedFileError(problems);
  const locate = (path: Path) => findNode(document, part, path);
  return {
    value: part.value,
    problem: (path, message) => {
      const found = locate(path);
      return found.at(startOf(found.value), formatPath(path), message);
    },
    problemAtName: (path, message) => {
      const { name, value, at: atPlace } = locate(path);
      return atPlace(startOf(name ?? value), formatPath(path), message);
    },
    lineOf: (path) => {
      const found = locate(path);
      return found.at(startOf(found.value), "", "").line;
    },
  };
}

/** Creates what finds places. It keeps the beginnings of lines, but not the text. */
function createLocator(lines: LineCounter, { line: firstLine = 1, column: firstColumn = 1 }: DocumentContext): Locator {
  return (offset, field, message) => {
    const { line, col } = lines.linePos(offset);
    const column = Math.max(col, 1) + (line <= 1 ? firstColumn - 1 : 0);
    return { line: firstLine - 1 + Math.max(line, 1), column, field, message };
  };
}

function parseYaml(text: string, lines: LineCounter, at: Locator): Document.Parsed {
  try {
    return parseDocument(text, { lineCounter: lines, intAsBigInt: true, prettyErrors: false, stringKeys: true });
  } catch (error) {
    // The parser calls itself for each level.
    if (!(error instanceof RangeError)) throw error;
    throw new SeedFileError([at(findTooDeep(text), "", tooDeep)]);
  }
}

function explain(error: YAMLError): string {
  switch (error.code) {
    case "TAB_AS_INDENT":
      return "indented with a tab, which YAML does not allow; use spaces";
    case "DUPLICATE_KEY":
      return "the same field a second time; keep one of the two";
    case "NON_STRING_KEY":
      return "a field name must be a string";
    case "TAG_RESOLVE_FAILED":
      return `${error.message}; leave the tag out`;
    default:
      return `not well-formed: ${explainUnclosed(error) ?? error.message}`;
  }
}

/** Returns what is missing where a list in brackets or a group in braces is not closed. */
function explainUnclosed({ code, message }: YAMLError): string | undefined {
  const [, end] = /^Flow (?:map|sequence) .*end with a ([\]}])$/.exec(message) ?? [];
  if (end === undefined) return undefined;
  return `expected ${JSON.stringify(end)} here${code === "BAD_INDENT" ? ", or more indentation" : ""}`;
}

function findDirectiveProblems(document: Document.Parsed): string[] {
  const { explicit, version } = document.directives.yaml;
  return explicit && version !== "1.2" ? [`YAML ${version} is not read, 1.2 is; leave the %YAML line out`] : [];
}

interface Found {
  readonly value: Node | undefined;
  /** The name of the last field, if there is one. */
  readonly name?: Node;
  readonly at: Locator;
}

/** Follows the path as far as it exists, through aliases as well. */
function findNode(document: Document.Parsed, ownPart: Part, path: Path): Found {
  let part = ownPart;
  let found: Found = { value: document.contents ?? undefined, at: part.at };
  for (const step of path) {
    const target = isAlias(found.value) ? part.targets.get(found.value) : undefined;
    const next = findChild(target?.node ?? found.value, step);
    if (next === undefined) break;
    part = target?.part ?? part;
    found = { ...next, at: part.at };
  }
  return found;
}

function findChild(parent: Node | undefined, step: PropertyKey): { value: Node; name?: Node } | undefined {
  if (isSeq(parent) && typeof step === "number") {
    const value = parent.items[step];
    return isNode(value) ? { value } : undefined;
  }
  if (!isMap(parent)) return undefined;
  const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === step);
  if (pair === undefined || !isNode(pair.key)) return undefined;
  return { value: isNode(pair.value) ? pair.value : pair.key, name: pair.key };
}
