/** Parses a document of a seed file into plain values, and finds the place of each value in the file. */
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

/** Returns the place of an offset in the text of a document. */
type Locator = (offset: number, field: string, message: string) => Problem;

/** A value with an anchor in an earlier part of the same document. */
interface Anchored {
  readonly node: Node;
  readonly at: Locator;
  /** Number of values in it, those behind aliases included. */
  readonly size: number;
}

/** The anchored values of one document of which the parts are parsed one after the other. */
export class Anchors {
  readonly #anchored = new Map<string, Anchored>();
  #size = 0;

  find(name: string): Anchored | undefined {
    return this.#anchored.get(name);
  }

  /** Remembers a value. Throws RangeError if all of them together are too much for memory. */
  set(name: string, anchored: Anchored): void {
    this.#size += anchored.size - (this.#anchored.get(name)?.size ?? 0);
    if (this.#size > maxAliasCount) throw new RangeError("the values with anchors are too large together");
    this.#anchored.set(name, anchored);
  }
}

/**
 * Parses a document of YAML 1.2, of which JSON is a subset, or a part of one that is a document by itself. Throws
 * SeedFileError if the text is not well-formed.
 */
export function parseSeedDocument(text: string, context: DocumentContext = {}): SeedDocument {
  const { line: firstLine = 1, column: firstColumn = 1, anchors, isLenient = false, isLast = false } = context;
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    intAsBigInt: true,
    prettyErrors: false,
    stringKeys: true,
  });
  const at: Locator = (offset, field, message) => {
    const { line, col } = lines.linePos(offset);
    const column = Math.max(col, 1) + (line <= 1 ? firstColumn - 1 : 0);
    return { line: firstLine - 1 + Math.max(line, 1), column, field, message };
  };
  const end = isLast ? text.trimEnd().length : Number.POSITIVE_INFINITY;
  const cutOff = (offset: number) => (offset >= end ? "; the file ends here, so it may have been cut off" : "");
  const { targets, anchored } = resolveAliases(document, anchors);
  const problems = [
    ...[...document.errors, ...document.warnings].map((error) =>
      at(error.pos[0], "", explain(error) + cutOff(error.pos[0])),
    ),
    ...findDirectiveProblems(document).map((message) => at(0, "", message)),
    ...(isLenient ? [] : findAliasProblems(targets)).map(([alias, message]) => at(startOf(alias), "", message)),
  ];
  if (problems.length > 0) throw new SeedFileError(problems);

  const tooMuch = () =>
    new SeedFileError([
      at(startOf(targets.keys().next().value), "", "aliases (*name) expand to too much; write the values out"),
    ]);
  if (anchors !== undefined) joinAnchors(document, { anchors, anchored, targets, at, tooMuch });
  const earlier = new Map<Node, Locator>();
  for (const target of targets.values()) if (target?.at !== undefined) earlier.set(target.node, target.at);
  const locate = (path: Path) => findNode(document, path, { targets, earlier, at });
  return {
    value: isLenient ? undefined : toValue(document, tooMuch),
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

function toValue(document: Document.Parsed, tooMuch: () => SeedFileError): unknown {
  try {
    return document.toJS({ maxAliasCount });
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw tooMuch();
  }
}

/**
 * Puts the values of earlier parts in place of the aliases that stand for them, and remembers the anchored values of
 * this part, for the parts after it.
 */
function joinAnchors(
  document: Document.Parsed,
  {
    anchors,
    anchored,
    targets,
    at,
    tooMuch,
  }: {
    anchors: Anchors;
    anchored: readonly Node[];
    targets: ReadonlyMap<Alias, Target | undefined>;
    at: Locator;
    tooMuch: () => SeedFileError;
  },
): void {
  if ([...targets.values()].some((target) => target?.isEarlier)) {
    let size = 0;
    for (const target of targets.values()) size += target?.size ?? 1;
    if (size > maxAliasCount) throw tooMuch();
    visit(document, { Alias: (_key, node) => (targets.get(node)?.isEarlier ? targets.get(node)?.node : undefined) });
  }
  for (const node of anchored) {
    try {
      const { count, hasAlias } = countValues(node, targets);
      anchors.set(nameOf(node), { node: hasAlias ? expand(node, targets) : node, at, size: count });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw tooMuch();
    }
  }
}

/** Returns the number of values in a node, with those behind aliases. Throws RangeError if there are too many. */
function countValues(
  node: Node,
  targets: ReadonlyMap<Alias, Target | undefined>,
): { count: number; hasAlias: boolean } {
  let count = 0;
  let hasAlias = false;
  const add = (each: Node) => {
    visit(each, {
      Node: (_key, inner) => {
        count += 1;
        if (count > maxAliasCount) throw new RangeError("too many values");
        if (!isAlias(inner)) return;
        hasAlias = true;
        const target = targets.get(inner)?.node;
        if (target !== undefined) add(target);
      },
    });
  };
  add(node);
  return { count, hasAlias };
}

/** Returns a copy of a node without aliases. Only for nodes that `countValues` found to be finite. */
function expand(node: Node, targets: ReadonlyMap<Alias, Target | undefined>): Node {
  const copy = node.clone() as Node;
  const originals: Alias[] = [];
  visit(node, { Alias: (_key, alias) => void originals.push(alias) });
  let next = 0;
  visit(copy, {
    Alias: () => {
      const original = originals[next++];
      const target = original && targets.get(original);
      return target === undefined ? undefined : expand(target.node, targets);
    },
  });
  return copy;
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
      return `not well-formed: ${error.message}`;
  }
}

function findDirectiveProblems(document: Document.Parsed): string[] {
  const { explicit, version } = document.directives.yaml;
  return explicit && version !== "1.2" ? [`YAML ${version} is not read, 1.2 is; leave the %YAML line out`] : [];
}

/** The value that an alias stands for. */
interface Target {
  readonly node: Node;
  /** Present for a value of an earlier part. */
  readonly at?: Locator;
  readonly size?: number;
  readonly isEarlier: boolean;
}

/**
 * Maps every alias to the value that it refers to, the last one before it with that anchor (YAML 1.2.2 section 7.1),
 * and returns the values with anchors.
 */
function resolveAliases(
  document: Document.Parsed,
  earlier: Anchors | undefined,
): { targets: Map<Alias, Target | undefined>; anchored: Node[] } {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Target | undefined>();
  const find = (name: string): Target | undefined => {
    const node = anchors.get(name);
    if (node !== undefined) return { node, isEarlier: false };
    const anchored = earlier?.find(name);
    return anchored && { ...anchored, isEarlier: true };
  };
  visit(document, {
    Alias: (_key, node) => void targets.set(node, find(node.source)),
    Value: (_key, node) => void (node.anchor !== undefined && anchors.set(node.anchor, node)),
  });
  return { targets, anchored: [...anchors.values()] };
}

/** Returns the name of a value's anchor. */
function nameOf(node: Node): string {
  return "anchor" in node ? (node.anchor ?? "") : "";
}

function findAliasProblems(targets: ReadonlyMap<Alias, Target | undefined>): [Alias, string][] {
  return [...targets]
    .filter(([, target]) => target === undefined)
    .map(([alias]) => [alias, `*${alias.source} stands for nothing; an anchor &${alias.source} has to come before it`]);
}

interface Found {
  readonly value: Node | undefined;
  /** The name of the last field, if there is one. */
  readonly name?: Node;
  readonly at: Locator;
}

/** Follows the path as far as it exists. */
function findNode(
  document: Document.Parsed,
  path: Path,
  {
    targets,
    earlier,
    at,
  }: {
    targets: ReadonlyMap<Alias, Target | undefined>;
    /** Values of earlier parts, with what finds their places. */
    earlier: ReadonlyMap<Node, Locator>;
    at: Locator;
  },
): Found {
  let found: Found = { value: document.contents ?? undefined, at };
  for (const step of path) {
    const parent = isAlias(found.value) ? targets.get(found.value)?.node : found.value;
    const next = findChild(parent, step);
    if (next === undefined) break;
    found = { ...next, at: earlier.get(next.value) ?? found.at };
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
