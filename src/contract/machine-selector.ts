/** Selectors of machines, for the command line and the console. */
import { create } from "@bufbuild/protobuf";
import { MachineState } from "../../gen/bmaas/admin/v1/machine_pb.js";
import {
  type LabelCondition,
  LabelConditionSchema,
  LabelOperator,
  type MachineFilter,
} from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseBytes } from "./amounts.ts";
import { type EnumNames, namesOf } from "./enum-names.ts";
import { isIssueType, issueTypeNames } from "./issue-types.ts";
import { parseLabelKey, parseLabelValue } from "./labels.ts";
import { parseMachineId } from "./machine-id.ts";
import { hint, parseAge, parseName, parseYesNo, quote, type TermRules } from "./selector-terms.ts";

/** What a term adds to a filter. */
export type MachineFilterPart = Partial<Omit<MachineFilter, "$typeName" | "$unknown">>;

/** States of machines by name. */
export const machineStates: EnumNames<MachineState> = namesOf(MachineState);

const keys: Readonly<Record<string, (value: string) => MachineFilterPart>> = {
  state: (value) => ({ states: [parseName(value, machineStates)] }),
  provider: (value) => ({ provider: value }),
  location: (value) => ({ location: value }),
  "min-memory": (value) => ({ minMemoryBytes: parseBytes(value) }),
  "min-disk": (value) => ({ minDiskBytes: parseBytes(value) }),
  "min-threads": (value) => ({ minCpuThreads: parseCount(value) }),
  "heartbeat-older-than": (value) => ({ minHeartbeatAge: parseAge(value) }),
  "heartbeat-younger-than": (value) => ({ maxHeartbeatAge: parseAge(value) }),
  "in-state-longer-than": (value) => ({ minStateAge: parseAge(value) }),
  "in-state-shorter-than": (value) => ({ maxStateAge: parseAge(value) }),
  issue: (value) => ({ issueTypes: [parseIssueType(value)] }),
  held: (value) => ({ held: parseYesNo(value) }),
  "state-overdue": (value) => ({ stateOverdue: parseYesNo(value) }),
  blocked: (value) => ({ blocked: parseYesNo(value) }),
  id: (value) => ({ machineIds: [parseMachineId(value)] }),
};

/** Terms of selectors of machines. A machine must match any of the values of a repeated key. */
export const machineTerms: TermRules<MachineFilterPart> = {
  keys,
  repeatable: ["state", "issue", "id"],
  moreKeys: ["label.KEY", "missing"],
  readOther: readOtherPart,
  words: [
    ...Object.keys(keys).flatMap((key) => {
      const values = { state: machineStates.names, issue: issueTypeNames }[key];
      return values === undefined ? `${key}=` : values.map((name) => `${key}=${name}`);
    }),
    "missing",
    "!missing",
    "label.",
    "!label.",
  ],
};

function readOtherPart(term: string): MachineFilterPart | undefined {
  if (term === "missing" || term === "!missing") return { missing: term === "missing" };
  if (/^!?missing=/.test(term)) throw new Error(`${quote(term)}: write missing or !missing, without a value`);
  const label = readLabelTerm(term);
  return label && { labels: [label] };
}

/** Parses a condition on a label, such as `label.rack=r12`. Returns undefined for any other term. */
function readLabelTerm(term: string): LabelCondition | undefined {
  const [, not = "", key, unequal, value] = /^(!?)label\.([^=!]*)(?:(!?)=(.*))?$/s.exec(term) ?? [];
  if (key === undefined) return undefined;
  if (not !== "" && value !== undefined) throw new Error(`${quote(term)}: write label.${key}!=${value}`);
  const condition = { key: parsePart(key, parseLabelKey), value: parsePart(value ?? "", parseLabelValue) };
  const isCompared = unequal === "!" ? LabelOperator.DIFFERS : LabelOperator.EQUALS;
  const isThere = not === "!" ? LabelOperator.MISSING : LabelOperator.EXISTS;
  return create(LabelConditionSchema, { ...condition, operator: value === undefined ? isThere : isCompared });
}

function parsePart(text: string, parse: (text: string) => string): string {
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`${quote(text)} ${(error as Error).message}`);
  }
}

function parseIssueType(text: string): string {
  const type = text.replaceAll("-", "_");
  if (!isIssueType(type)) throw new Error(`${quote(text)} is not an issue${hint(type, issueTypeNames)}`);
  return type;
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${quote(text)} is not a whole number`);
  return Number(text);
}
