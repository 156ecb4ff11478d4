/**
 * Matches the elements of a list in one hardware report with those in another. It goes by their contents, not by their
 * places, since kernels find disks and interfaces in varying order.
 */
import { type DescMessage, toBinary } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { toFieldText } from "./difference-text.ts";

/** An element that is in one of two lists, or in both. */
export interface Match {
  /** Name for people, unique among the matches of the two lists. */
  readonly name: string;
  readonly before: ReflectMessage | undefined;
  readonly after: ReflectMessage | undefined;
}

/** Fields that identify the elements of a type. */
interface Identity {
  /**
   * Combinations of fields that must be equal in both elements, most reliable first. A WWN is unique. A serial number
   * may not be: the namespaces of an NVMe disk share the disk's, and the volumes of an array share that of the
   * controller through which they were reached.
   */
  readonly keys: readonly (readonly string[])[];
  /** Field by which elements that both have it and differ in it are never the same. */
  readonly decisive: string;
  /** Fields to name an element by: the first one that is set and unique among the elements. */
  readonly names: readonly string[];
}

const identities: Readonly<Record<string, Identity>> = {
  "cloud.agent.api.BlockDevice": {
    keys: [["wwn", "serial_number"], ["wwn"], ["serial_number", "capacity_bytes"], ["serial_number"]],
    decisive: "wwn",
    names: ["serial_number", "wwn"],
  },
  "cloud.agent.api.NetworkInterface": {
    keys: [["mac", "name"], ["mac"], ["long_address", "name"], ["long_address"]],
    decisive: "mac",
    names: ["mac", "long_address", "name"],
  },
};

/** Maximum length of a name, since agents choose the texts. */
const maxNameLength = 64;

interface Element {
  readonly message: ReflectMessage;
  readonly place: number;
  /** Values of the identifying fields that are set, by field name. */
  readonly texts: ReadonlyMap<string, string>;
}

type Pair = { readonly before: Element | undefined; readonly after: Element | undefined };

const unknownIdentity: Identity = { keys: [], decisive: "", names: [] };

/**
 * Matches the elements of two lists of one type: equal elements first, then by the fields that identify their type, and
 * elements without such fields by their order. Returns them in the order of the first list, followed by those in the
 * second list alone.
 */
export function matchElements(before: readonly ReflectMessage[], after: readonly ReflectMessage[]): Match[] {
  const desc = (before[0] ?? after[0])?.desc;
  if (desc === undefined) return [];
  const identity = identities[desc.typeName] ?? unknownIdentity;
  const matching = new Matching(toElements(before, desc, identity), toElements(after, desc, identity));
  matching.pairBy(({ message }) => Buffer.from(toBinary(desc, message.message)).toString("latin1"));
  for (const key of identity.keys) pairByFields(matching, key, identity.decisive);
  matching.pairBy((element) => (identity.keys.some((key) => toKey(element, key) !== undefined) ? undefined : ""));
  return nameAll(matching.pairs(), identity);
}

function toElements(messages: readonly ReflectMessage[], { fields }: DescMessage, identity: Identity): Element[] {
  const names = new Set([...identity.keys.flat(), ...identity.names]);
  const telling = fields.filter(({ name }) => names.has(name));
  return messages.map((message, place) => {
    const texts = telling.map((field) => [field.name, toFieldText(message, field, true)] as const);
    return { message, place, texts: new Map(texts.filter(([, text]) => text !== "")) };
  });
}

function pairByFields(matching: Matching, key: readonly string[], decisive: string): void {
  const keyOf = (element: Element) => toKey(element, key);
  if (key.includes(decisive)) {
    matching.pairBy(keyOf);
    return;
  }
  const undecided = (element: Element) => (element.texts.has(decisive) ? undefined : keyOf(element));
  const decided = (element: Element) => (element.texts.has(decisive) ? keyOf(element) : undefined);
  matching.pairBy(undecided);
  matching.pairBy(undecided, decided);
  matching.pairBy(decided, undecided);
}

/** Returns the values of the fields as one key, or undefined unless all of them are set. */
function toKey({ texts }: Element, fields: readonly string[]): string | undefined {
  return fields.every((field) => texts.has(field))
    ? JSON.stringify(fields.map((field) => texts.get(field)))
    : undefined;
}

/** Two lists of elements, and the pairs made of them so far. */
class Matching {
  #before: readonly Element[];
  #after: readonly Element[];
  readonly #pairs: Pair[] = [];

  constructor(before: readonly Element[], after: readonly Element[]) {
    this.#before = before;
    this.#after = after;
  }

  /** Pairs unpaired elements that have equal keys, in order. Skips elements without a key. */
  pairBy(keyOf: (element: Element) => string | undefined, keyOfAfter = keyOf): void {
    const waiting = Map.groupBy(this.#after, (element) => keyOfAfter(element));
    const taken = new Set<Element>();
    this.#before = this.#before.filter((before) => {
      const key = keyOf(before);
      const after = key === undefined ? undefined : waiting.get(key)?.shift();
      if (after === undefined) return true;
      taken.add(after);
      this.#pairs.push({ before, after });
      return false;
    });
    this.#after = this.#after.filter((after) => !taken.has(after));
  }

  /** Returns all pairs, and the elements without a counterpart. */
  pairs(): Pair[] {
    const gone = this.#before.map((before): Pair => ({ before, after: undefined }));
    const come = this.#after.map((after): Pair => ({ before: undefined, after }));
    const known = [...this.#pairs, ...gone].sort((a, b) => (a.before?.place ?? 0) - (b.before?.place ?? 0));
    return [...known, ...come];
  }
}

function nameAll(pairs: readonly Pair[], { names }: Identity): Match[] {
  const candidates = pairs.map(({ before, after }) => listNames(after ?? before, names));
  const counts = new Map<string, number>();
  for (const name of candidates.flat()) counts.set(name, (counts.get(name) ?? 0) + 1);
  const namesakes = new Map<string, number>();
  return pairs.map(({ before, after }, index) => {
    const own = candidates[index] ?? [];
    const name = own.find((candidate) => counts.get(candidate) === 1) ?? own[0] ?? "";
    const number = (namesakes.get(name) ?? 0) + 1;
    namesakes.set(name, number);
    return { name: number === 1 ? name : `${name}#${number}`, before: before?.message, after: after?.message };
  });
}

/** Returns possible names of an element, best first, or its place if it has none. */
function listNames(element: Element | undefined, fields: readonly string[]): string[] {
  const texts = fields.map((field) => element?.texts.get(field)?.slice(0, maxNameLength) ?? "");
  const names = texts.filter((text) => text !== "");
  return names.length > 0 ? names : [String(element?.place)];
}
