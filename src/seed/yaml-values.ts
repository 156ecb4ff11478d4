/**
 * Turns the nodes of a YAML document into plain values, with what its aliases stand for. An alias stands for the last
 * value before it with that anchor (YAML 1.2.2 section 7.1), also for one of an earlier part of the document.
 */
import { type Alias, isAlias, isMap, isNode, isScalar, isSeq, type Node, type Scalar } from "yaml";
import { type Problem, SeedFileError } from "./problem.ts";

/** Returns the place of an offset in the text of a part. */
export type Locator = (offset: number, field: string, message: string) => Problem;

/** A part of a document, as far as places in it need it. */
export interface Part {
  readonly at: Locator;
  readonly targets: ReadonlyMap<Alias, Target>;
}

/** The value that an alias stands for, and the part in which it stands. */
export interface Target {
  readonly node: Node;
  readonly part: Part;
}

/** A value with an anchor. */
interface Anchored extends Target {
  readonly value: unknown;
  /** Number of values in it, and of characters in those, what is behind aliases included. */
  readonly size: number;
  readonly characters: number;
}

/** Maximum number of values in one part, those behind aliases included, since a few lines could expand to billions. */
const maxValues = 1_000_000;
/** Maximum depth, far beyond that of any machine. */
const maxDepth = 100;
/** Maximum numbers of values, and of characters, that are remembered for the parts that follow. */
const [maxKeptValues, maxKeptCharacters] = [100_000, 8 * 1024 * 1024];
/** What the places of a remembered value are counted as, in characters. */
const placeCharacters = 100;

/** The anchored values of one document of which the parts are parsed one after the other. */
export class Anchors {
  readonly #anchored = new Map<string, Anchored>();
  #size = 0;
  #characters = 0;

  find(name: string): Anchored | undefined {
    return this.#anchored.get(name);
  }

  /** Remembers a value. Throws SeedFileError if all of them together are too much for memory. */
  set(name: string, anchored: Anchored): void {
    const replaced = this.#anchored.get(name);
    this.#size += anchored.size - (replaced?.size ?? 0);
    this.#characters += anchored.characters - (replaced?.characters ?? 0);
    if (this.#size > maxKeptValues || this.#characters > maxKeptCharacters) {
      throw problemAt(
        anchored.part,
        anchored.node,
        "the values with anchors (&name) are too large together; write the values out",
      );
    }
    this.#anchored.set(name, anchored);
  }
}

/** What `readValues` returns. */
export interface ReadValues extends Part {
  /** Objects, arrays, strings, booleans and nulls. Integers are bigint, other numbers are number. */
  readonly value: unknown;
  /** Aliases that stand for nothing. */
  readonly problems: readonly Problem[];
}

/**
 * Returns the values of a part, and adds those with anchors to `anchors`, which has those of earlier parts. Throws
 * SeedFileError for what is too large or nested too deeply.
 */
export function readValues(contents: Node | null, at: Locator, anchors?: Anchors): ReadValues {
  const reader = new ValueReader(at, anchors);
  const value = contents === null ? null : reader.read(contents, 0);
  reader.keep();
  return { at, targets: reader.targets, value, problems: reader.problems };
}

class ValueReader {
  readonly targets = new Map<Alias, Target>();
  readonly problems: Problem[] = [];
  readonly #at: Locator;
  readonly #earlier: Anchors | undefined;
  /** The part, as far as it is remembered: with the aliases in anchored values. */
  readonly #kept: Part & { readonly targets: Map<Alias, Target> };
  readonly #anchored = new Map<string, Node>();
  /** The anchored values that are whole, or that are being read and contain themselves. */
  readonly #known = new Map<Node, Anchored>();
  #size = 0;
  #characters = 0;
  /** Number of anchored values around the present one. */
  #anchors = 0;

  constructor(at: Locator, earlier: Anchors | undefined) {
    this.#at = at;
    this.#earlier = earlier;
    this.#kept = { at, targets: new Map() };
  }

  read(node: Node, depth: number): unknown {
    if (depth > maxDepth) throw problemAt(this.#kept, node, tooDeep);
    this.#count(node, 1, 0);
    if (isAlias(node)) return this.#readAlias(node);
    const anchor = "anchor" in node ? node.anchor : undefined;
    if (anchor === undefined) return this.#readPlain(node, depth);
    const [size, characters] = [this.#size - 1, this.#characters - placeCharacters];
    this.#anchored.set(anchor, node);
    this.#anchors += 1;
    const value = this.#readPlain(node, depth);
    this.#anchors -= 1;
    const [ownSize, ownCharacters] = [this.#size - size, this.#characters - characters];
    this.#known.set(node, { node, part: this.#kept, value, size: ownSize, characters: ownCharacters });
    return value;
  }

  /** Remembers the anchored values for the parts that follow. */
  keep(): void {
    if (this.#earlier === undefined) return;
    for (const [name, node] of this.#anchored) {
      const known = this.#known.get(node);
      if (known !== undefined) this.#earlier.set(name, known);
    }
  }

  #readAlias(alias: Alias): unknown {
    const node = this.#anchored.get(alias.source);
    const known = node === undefined ? this.#earlier?.find(alias.source) : this.#known.get(node);
    if (known === undefined) {
      const message = `*${alias.source} stands for nothing; an anchor &${alias.source} has to come before it`;
      this.problems.push(this.#at(startOf(alias), "", message));
      return null;
    }
    this.targets.set(alias, known);
    if (this.#anchors > 0) this.#kept.targets.set(alias, known);
    this.#count(alias, known.size - 1, known.characters);
    return known.value;
  }

  #readPlain(node: Exclude<Node, Alias>, depth: number): unknown {
    if (isScalar(node)) return this.#readScalar(node);
    const isAnchored = "anchor" in node && node.anchor !== undefined;
    if (isSeq(node)) {
      const list: unknown[] = [];
      if (isAnchored) this.#beginAnchored(node, list);
      for (const item of node.items) list.push(isNode(item) ? this.read(item, depth + 1) : null);
      return list;
    }
    if (!isMap(node)) return null;
    const group: Record<string, unknown> = {};
    if (isAnchored) this.#beginAnchored(node, group);
    for (const { key, value: inner } of node.items) {
      const name = isNode(key) ? String(this.read(key, depth + 1)) : "";
      const value = isNode(inner) ? this.read(inner, depth + 1) : null;
      // An assignment to __proto__ would set the prototype.
      Object.defineProperty(group, name, { value, enumerable: true, writable: true, configurable: true });
    }
    return group;
  }

  /** Lets aliases within a value stand for it. */
  #beginAnchored(node: Node, value: object): void {
    this.#known.set(node, { node, part: this.#kept, value, size: 1, characters: 0 });
  }

  #readScalar(scalar: Scalar): unknown {
    const { value } = scalar;
    if (typeof value !== "string") return value;
    this.#count(scalar, 0, value.length);
    if (this.#earlier === undefined || this.#anchors === 0) return value;
    // What is remembered must not keep the text of its part.
    scalar.value = Buffer.from(value, "utf16le").toString("utf16le");
    scalar.source = "";
    return scalar.value;
  }

  #count(node: Node, values: number, characters: number): void {
    this.#size += values;
    this.#characters += characters;
    if (this.#size <= maxValues) return;
    throw problemAt(this.#kept, node, "aliases (*name) expand to too much; write the values out");
  }
}

/** What is wrong with values that are nested without reason. */
export const tooDeep = `is nested more than ${maxDepth} levels deep, which no machine is`;

/** Returns where more than a hundred brackets are open for the first time, or 0. */
export function findTooDeep(text: string): number {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "[" || character === "{") depth += 1;
    else if ((character === "]" || character === "}") && depth > 0) depth -= 1;
    if (depth > maxDepth) return at;
  }
  return 0;
}

function problemAt(part: Part, node: Node, message: string): SeedFileError {
  return new SeedFileError([part.at(startOf(node), "", message)]);
}

/** Returns the offset at which a node begins. */
export function startOf(node: Node | undefined): number {
  return node?.range?.[0] ?? 0;
}
