/** Parses `--selector provider=equinix,state=heartbeating` to a filter of the contract. */
import { create } from "@bufbuild/protobuf";
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type LabelCondition,
  LabelConditionSchema,
  LabelOperator,
  type MachineFilter,
  MachineFilterSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { suggestName } from "../../base/suggest-name.ts";
import { ConfigError } from "../../config/config.ts";
import { parseDurationMs } from "../../config/durations.ts";
import { InvalidValueError } from "../../config/values.ts";
import { isIssueType, issueTypeNames } from "../../contract/issue-types.ts";
import { parseLabelKey, parseLabelValue } from "../../contract/labels.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import { parseQuoted } from "./arguments.ts";
import { parseBytes } from "./quantity.ts";
import { type EnumNames, machineStateNames } from "./state-names.ts";

type FilterPart = Partial<Omit<MachineFilter, "$typeName" | "$unknown">>;

/** Parsers of the keys' values, which return parts of the filter. They throw for an invalid value. */
const keys: Readonly<Record<string, (value: string) => FilterPart>> = {
  state: (value) => ({ states: [parseState(value, machineStateNames)] }),
  provider: (value) => ({ provider: value }),
  location: (value) => ({ location: value }),
  "min-memory": (value) => ({ minMemoryBytes: parseBytes(value) }),
  "min-disk": (value) => ({ minDiskBytes: parseBytes(value) }),
  "min-threads": (value) => ({ minCpuThreads: parseCount(value) }),
  "heartbeat-older-than": (value) => ({ minHeartbeatAge: parseAge(value) }),
  "heartbeat-younger-than": (value) => ({ maxHeartbeatAge: parseAge(value) }),
  "in-state-longer-than": (value) => ({ minStateAge: parseAge(value) }),
  issue: (value) => ({ issueTypes: [parseIssueType(value)] }),
  held: (value) => ({ held: parseYesNo(value) }),
  "state-overdue": (value) => ({ stateOverdue: parseYesNo(value) }),
  blocked: (value) => ({ blocked: parseYesNo(value) }),
  id: (value) => ({ machineIds: [parseMachineId(value)] }),
};

/** Keys that may be given several times. A machine must match any of the values. */
const repeatable: readonly string[] = ["state", "issue", "id"];

/** Beginnings of terms, and terms with states and issues in full, for completion in shells. */
export const selectorWords: readonly string[] = [
  ...Object.keys(keys).flatMap((key) => {
    const values = { state: machineStateNames.names, issue: issueTypeNames }[key];
    return values === undefined ? `${key}=` : values.map((name) => `${key}=${name}`);
  }),
  "missing",
  "!missing",
  "label.",
  "!label.",
];

/** Help for commands with a selector. */
export const selectorHelp = `
A selector is a comma-separated list of conditions; a machine must match all of them:
  state                   ${machineStateNames.names.slice(0, 6).join(", ")},
                          ${machineStateNames.names.slice(6).join(", ")}; repeat to match any
  provider, location      from the provider's data; write a comma in a value as \\,
  min-memory, min-disk    for example 16GiB, 1TB (of the largest disk)
  min-threads             hardware threads of all processors
  heartbeat-older-than    for example 90s, 15m, 2h, 30d; includes machines that never heartbeated
  heartbeat-younger-than  the same forms; machines with a more recent heartbeat
  in-state-longer-than    for example 1h; machines that have been in their state for longer
  issue                   for example agent_silent; machines with such an issue, see docs/issues.md; repeat to match any
  state-overdue           yes: in its state for longer than BMAAS_STATE_LIMITS of the server allows; no
  held                    yes: an operator holds the machine; no
  blocked                 yes: a health alert keeps installations away from the machine; no
  missing, !missing       the machine is expected, and its agent has never come; all others
  id                      a machine id; repeat to match any
  label.KEY=VALUE         the label has this value; label.KEY!=VALUE: it has another, or the machine lacks it
  label.KEY, !label.KEY   the machine has the label; the machine lacks it (quote "!" in an interactive shell)`;

/** Parses selectors to one filter, whose conditions must all hold. Throws ConfigError with every mistake. */
export function parseSelector(selectors: readonly string[]): MachineFilter {
  const parts = parseTerms(selectors, {
    keys,
    repeatable,
    moreKeys: ["label.KEY", "missing"],
    readOther: readOtherPart,
  });
  const states = parts.flatMap((part) => part.states ?? []);
  const machineIds = parts.flatMap((part) => part.machineIds ?? []);
  const labels = parts.flatMap((part) => part.labels ?? []);
  const issueTypes = parts.flatMap((part) => part.issueTypes ?? []);
  return create(MachineFilterSchema, Object.assign({}, ...parts, { states, machineIds, labels, issueTypes }));
}

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
}

/** Parses the terms of selectors, each to a part of a filter. Throws ConfigError with every mistake. */
export function parseTerms<Part>(selectors: readonly string[], rules: TermRules<Part>): Part[] {
  const parts: Part[] = [];
  const seen = new Set<string>();
  const mistakes: string[] = [];
  for (const term of selectors.flatMap(splitTerms)) {
    try {
      parts.push(rules.readOther?.(term) ?? readTerm(term, seen, rules));
    } catch (error) {
      mistakes.push(`--selector: ${(error as Error).message}`);
    }
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return parts;
}

function readTerm<Part>(
  term: string,
  seen: Set<string>,
  { keys: parsers, repeatable: several, moreKeys = [] }: TermRules<Part>,
): Part {
  const at = term.indexOf("=");
  const key = at < 0 ? term : term.slice(0, at);
  const value = term.slice(at + 1);
  const read = Object.hasOwn(parsers, key) ? parsers[key] : undefined;
  if (read === undefined) {
    throw new InvalidValueError(`${quote(key)} is not a key${hint(key, [...Object.keys(parsers), ...moreKeys])}`);
  }
  if (at < 0 || value === "") throw new InvalidValueError(`${key} needs a value: ${key}=…`);
  if (seen.has(key) && !several.includes(key)) throw new InvalidValueError(`${key} is given twice`);
  seen.add(key);
  try {
    return read(value);
  } catch (error) {
    throw new InvalidValueError(`${key}: ${(error as Error).message}`);
  }
}

function readOtherPart(term: string): FilterPart | undefined {
  if (term === "missing" || term === "!missing") return { missing: term === "missing" };
  const label = readLabelTerm(term);
  return label && { labels: [label] };
}

/** Parses a condition on a label, such as `label.rack=r12`. Returns undefined for any other term. */
function readLabelTerm(term: string): LabelCondition | undefined {
  const [, not = "", key, unequal, value] = /^(!?)label\.([^=!]*)(?:(!?)=(.*))?$/s.exec(term) ?? [];
  if (key === undefined) return undefined;
  if (not !== "" && value !== undefined) throw new InvalidValueError(`${quote(term)}: write label.${key}!=${value}`);
  const condition = { key: parseQuoted(key, parseLabelKey), value: parseQuoted(value ?? "", parseLabelValue) };
  const isCompared = unequal === "!" ? LabelOperator.DIFFERS : LabelOperator.EQUALS;
  const isThere = not === "!" ? LabelOperator.MISSING : LabelOperator.EXISTS;
  return create(LabelConditionSchema, { ...condition, operator: value === undefined ? isThere : isCompared });
}

/** Splits at commas, except those after a backslash. Arguments of a command cannot contain NUL, which marks these. */
function splitTerms(selector: string): string[] {
  const terms = selector.replaceAll("\\,", "\0").split(",");
  return terms.map((term) => term.replaceAll("\0", ","));
}

/** Parses the name of a state. Throws InvalidValueError. */
export function parseState<State extends number>(text: string, names: EnumNames<State>): State {
  const state = names.find(text);
  if (state === undefined) throw new InvalidValueError(`${quote(text)} is not a state${hint(text, names.names)}`);
  return state;
}

function parseIssueType(text: string): string {
  const type = text.replaceAll("-", "_");
  if (!isIssueType(type)) throw new InvalidValueError(`${quote(text)} is not an issue${hint(type, issueTypeNames)}`);
  return type;
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidValueError(`${quote(text)} is not a whole number`);
  return Number(text);
}

/** Parses yes or no. Throws InvalidValueError. */
export function parseYesNo(text: string): boolean {
  if (text !== "yes" && text !== "no") throw new InvalidValueError(`${quote(text)} is neither yes nor no`);
  return text === "yes";
}

/** Parses an age such as "15m". Throws an error for any other text. */
export function parseAge(text: string): Duration {
  return durationFromMs(parseDurationMs(text));
}

function hint(name: string, known: readonly string[]): string {
  const meant = suggestName(name, known);
  return meant === undefined ? ` (there are ${known.join(", ")})` : `, did you mean ${meant}?`;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
