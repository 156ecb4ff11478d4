/** Conditions on machines, in the words of the command line's --selector. */

import { MachineState } from "@api/machine_pb.js";
import {
  type LabelCondition,
  LabelConditionSchema,
  LabelOperator,
  type MachineFilter,
} from "@api/machine_service_pb.js";
import { create } from "@bufbuild/protobuf";
import { isIssueType, issueTypeNames } from "../../../src/contract/issue-types.ts";
import { parseLabelKey, parseLabelValue } from "../../../src/contract/labels.ts";
import { parseMachineId } from "../../../src/contract/machine-id.ts";
import { oneOf, splitCondition } from "./conditions.ts";
import { namesOf } from "./enum-names.ts";

/** What one condition adds to a filter. */
export type MachineCondition = Partial<Omit<MachineFilter, "$typeName" | "$unknown">>;

const states = namesOf<MachineState>(MachineState);

const keys: Readonly<Record<string, (value: string) => MachineCondition>> = {
  state: (value) => ({ states: [oneOf(states.find, value, states.names)] }),
  provider: (value) => ({ provider: value }),
  location: (value) => ({ location: value }),
  issue: (value) => ({ issueTypes: [oneOf((name) => (isIssueType(name) ? name : undefined), value, issueTypeNames)] }),
  id: (value) => ({ machineIds: [parseMachineId(value)] }),
  held: (value) => ({ held: parseYesNo(value) }),
  blocked: (value) => ({ blocked: parseYesNo(value) }),
  "state-overdue": (value) => ({ stateOverdue: parseYesNo(value) }),
};

/** Keys of which a machine must match any of several values. */
export const repeatableMachineKeys: readonly string[] = ["state", "issue", "id"];

/** What may be typed. */
export const machineSuggestions: readonly string[] = [
  ...["provider=", "location=", "label.", "!label.", "missing", "!missing", "held=yes", "blocked=yes"],
  ...states.names.map((name) => `state=${name}`),
];

/** Returns what a condition means. Throws an Error with a sentence for people. */
export function parseMachineCondition(text: string): MachineCondition {
  if (text === "missing" || text === "!missing") return { missing: text === "missing" };
  const label = readLabelCondition(text);
  if (label !== undefined) return { labels: [label] };
  const { key, value } = splitCondition(text);
  const read = Object.hasOwn(keys, key) ? keys[key] : undefined;
  if (read === undefined) {
    throw new Error(
      `There is no condition "${key}": there are ${Object.keys(keys).join(", ")}, label.KEY and missing.`,
    );
  }
  if (value === "") throw new Error(`${key} needs a value: ${key}=…`);
  return read(value);
}

/** Returns one filter of all conditions. */
export function joinMachineConditions(conditions: readonly MachineCondition[]): MachineCondition {
  return {
    ...Object.assign({}, ...conditions),
    states: conditions.flatMap((each) => each.states ?? []),
    machineIds: conditions.flatMap((each) => each.machineIds ?? []),
    labels: conditions.flatMap((each) => each.labels ?? []),
    issueTypes: conditions.flatMap((each) => each.issueTypes ?? []),
  };
}

/** Reads a condition such as "label.rack=r12" or "!label.rack"; returns undefined for any other. */
function readLabelCondition(text: string): LabelCondition | undefined {
  const [, not = "", key, unequal, value] = /^(!?)label\.([^=!]*)(?:(!?)=(.*))?$/s.exec(text) ?? [];
  if (key === undefined) return undefined;
  if (not !== "" && value !== undefined) throw new Error(`Write label.${key}!=${value}.`);
  const isCompared = unequal === "!" ? LabelOperator.DIFFERS : LabelOperator.EQUALS;
  const isThere = not === "!" ? LabelOperator.MISSING : LabelOperator.EXISTS;
  const operator = value === undefined ? isThere : isCompared;
  return create(LabelConditionSchema, {
    key: parsePart(key, parseLabelKey),
    value: parsePart(value ?? "", parseLabelValue),
    operator,
  });
}

function parsePart(text: string, parse: (text: string) => string): string {
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`"${text}" ${(error as Error).message}.`);
  }
}

function parseYesNo(value: string): boolean {
  if (value !== "yes" && value !== "no") throw new Error(`"${value}" is neither yes nor no.`);
  return value === "yes";
}
