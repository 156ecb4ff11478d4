/** Selectors such as "state=stale,label.rack=r12": lists of terms, each of which is a part of a filter. */
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import { suggestName } from "../base/suggest-name.ts";
import { parseDurationMs } from "./amounts.ts";
import type { EnumNames } from "./enum-names.ts";

/** What terms of a selector may be. */
export interface TermRules<Part> {
  /** Parsers of the keys' values, which return parts of the filter. They throw for an invalid value. */
  readonly keys: Readonly<Record<string, (value: string) => Part>>;
  /** Keys that may be given several times. */
  readonly repeatable: readonly string[];
  /** Forms of terms that `readOther` parses, for the list of keys in an error. */
  readonly moreKeys?: readonly string[];
  /** Parses terms of another form. Returns undefined for a term of the form key=value. */
  readonly readOther?: (term: string) => Part | undefined;
  /** Beginnings of terms, and whole terms where there are few, for completion. */
  readonly words: readonly string[];
}

/** Returns the part of a filter that a term is. Throws an error that says what is wrong with the term. */
export function readTerm<Part>(term: string, rules: TermRules<Part>): Part {
  const { keys, moreKeys = [], readOther } = rules;
  if (term.trim() === "") throw new Error("a condition is empty: write KEY=VALUE");
  const other = readOther?.(term);
  if (other !== undefined) return other;
  const { key, value } = splitTerm(term);
  const read = Object.hasOwn(keys, key) ? keys[key] : undefined;
  if (read === undefined)
    throw new Error(`${quote(key)} is not a key${hint(key, [...Object.keys(keys), ...moreKeys])}`);
  if (value === "") throw new Error(`${key} needs a value: ${key}=…`);
  try {
    return read(value);
  } catch (error) {
    throw new Error(`${key}: ${(error as Error).message}`);
  }
}

/** Splits a term at its first "="; without one, the value is empty. */
export function splitTerm(term: string): { readonly key: string; readonly value: string } {
  const at = term.indexOf("=");
  return at < 0 ? { key: term, value: "" } : { key: term.slice(0, at), value: term.slice(at + 1) };
}

/** Splits a selector at commas, except those after a backslash. NUL, which no term contains, marks these. */
export function splitTerms(selector: string): string[] {
  const terms = selector.replaceAll("\\,", "\0").split(",");
  return terms.map((term) => term.replaceAll("\0", ","));
}

/** Returns terms as one selector. */
export function joinTerms(terms: readonly string[]): string {
  return terms.map((term) => term.replaceAll(",", "\\,")).join(",");
}

/** Returns one filter of all parts: of fields that are lists, all items; of other fields, the last value. */
export function joinParts<Part extends object>(parts: readonly Part[]): Part {
  const joined = new Map<string, unknown>();
  for (const [name, value] of parts.flatMap((part) => Object.entries(part))) {
    const former = joined.get(name);
    joined.set(name, Array.isArray(value) && Array.isArray(former) ? [...former, ...value] : value);
  }
  return Object.fromEntries(joined) as Part;
}

/** Parses the name of a value, such as a state. Throws an error with what was meant. */
export function parseName<Value extends number>(text: string, names: EnumNames<Value>, what = "state"): Value {
  const value = names.find(text);
  if (value === undefined) throw new Error(`${quote(text)} is not a ${what}${hint(text, names.names)}`);
  return value;
}

/** Parses yes or no. Throws an error for any other text. */
export function parseYesNo(text: string): boolean {
  if (text !== "yes" && text !== "no") throw new Error(`${quote(text)} is neither yes nor no`);
  return text === "yes";
}

/** Parses an age such as "15m". Throws an error for any other text. */
export function parseAge(text: string): Duration {
  return durationFromMs(parseDurationMs(text));
}

/** Returns the end of a sentence about a name that is not among `known`: what was meant, or what there is. */
export function hint(name: string, known: readonly string[]): string {
  const meant = suggestName(name, known);
  return meant === undefined ? ` (there are ${known.join(", ")})` : `, did you mean ${meant}?`;
}

/** Returns the beginning of a text in quotation marks. */
export function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
