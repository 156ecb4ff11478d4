/** Parses the text of a seed file into plain values, and finds the place of each value in the text. */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import { formatPath, type Path, type Problem, SeedFileError } from "./problem.ts";

/** Maximum number of expanded aliases, counted through all nesting, since a few lines could expand to gigabytes. */
const maxAliasCount = 100_000;

/** A well-formed file, whatever its contents. */
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

/** Parses YAML 1.2, of which JSON is a subset. Throws SeedFileError if the text is not well-formed. */
export function parseSeedDocument(text: string): SeedDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    intAsBigInt: true,
    prettyErrors: false,
    stringKeys: true,
  });
  const at = (offset: number, field: string, message: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1), field, message };
  };
  const targets = resolveAliases(document);
  const problems = [
    ...[...document.errors, ...document.warnings].map((error) => at(error.pos[0], "", explain(error))),
    ...findDirectiveProblems(document).map((message) => at(0, "", message)),
    ...findAliasProblems(targets).map(([alias, message]) => at(startOf(alias), "", message)),
  ];
  if (problems.length > 0) throw new SeedFileError(problems);

  const locate = (path: Path) => findNode(document, targets, path);
  return {
    value: toValue(document, (message) => at(startOf(targets.keys().next().value), "", message)),
    problem: (path, message) => at(startOf(locate(path).value), formatPath(path), message),
    problemAtName: (path, message) => {
      const { name, value } = locate(path);
      return at(startOf(name ?? value), formatPath(path), message);
    },
    lineOf: (path) => at(startOf(locate(path).value), "", "").line,
  };
}

function toValue(document: Document.Parsed, problem: (message: string) => Problem): unknown {
  try {
    return document.toJS({ maxAliasCount });
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw new SeedFileError([problem("aliases (*name) expand to too much; write the values out")]);
  }
}

function explain(error: YAMLError): string {
  switch (error.code) {
    case "MULTIPLE_DOCS":
      return "a second document starts here; a seed file has one, so put all machines under one `machines:`";
    case "TAB_AS_INDENT":
      return "indented with a tab, which YAML does not allow; use spaces";
    case "DUPLICATE_KEY":
      return "the same field a second time; keep one of the two";
    case "NON_STRING_KEY":
      return "a field name must be a string";
    case "TAG_RESOLVE_FAILED":
      return `${error.message}; leave the tag out`;
    default:
      return `not well-formed: ${error.message}`;
  }
}

function findDirectiveProblems(document: Document.Parsed): string[] {
  const { explicit, version } = document.directives.yaml;
  return explicit && version !== "1.2" ? [`YAML ${version} is not read, 1.2 is; leave the %YAML line out`] : [];
}

/** Maps every alias to the node that it refers to: the last one before it with that anchor (YAML 1.2.2 section 7.1). */
function resolveAliases(document: Document.Parsed): Map<Alias, Node | undefined> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node | undefined>();
  visit(document, {
    Alias: (_key, node) => void targets.set(node, anchors.get(node.source)),
    Value: (_key, node) => void (node.anchor !== undefined && anchors.set(node.anchor, node)),
  });
  return targets;
}

function findAliasProblems(targets: ReadonlyMap<Alias, Node | undefined>): [Alias, string][] {
  return [...targets]
    .filter(([, target]) => target === undefined)
    .map(([alias]) => [alias, `*${alias.source} stands for nothing; an anchor &${alias.source} has to come before it`]);
}

/** Follows the path as far as it exists. `name` is the name of the last field, if there is one. */
function findNode(
  document: Document.Parsed,
  targets: ReadonlyMap<Alias, Node | undefined>,
  path: Path,
): { value: Node | undefined; name?: Node } {
  let found: { value: Node | undefined; name?: Node } = { value: document.contents ?? undefined };
  for (const step of path) {
    const next = findChild(isAlias(found.value) ? targets.get(found.value) : found.value, step);
    if (next === undefined) break;
    found = next;
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

function startOf(node: Node | undefined): number {
  return node?.range?.[0] ?? 0;
}
