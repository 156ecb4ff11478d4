/** The filter of the page of issues: types, severities, and conditions on the machines. */
import { IssueSeverity } from "@api/issue_pb.js";
import { issueTypeNames } from "../../../../src/contract/issue-types.ts";
import type { ConditionSearch } from "../../ui/condition-search.ts";
import { type ConditionRules, oneOf, splitCondition } from "../../ui/conditions.ts";
import { namesOf } from "../../ui/enum-names.ts";
import {
  joinMachineConditions,
  type MachineCondition,
  machineSuggestions,
  parseMachineCondition,
  repeatableMachineKeys,
} from "../../ui/machine-selector.ts";

/** Severities by name, the least urgent first. */
export const severities = namesOf<IssueSeverity>(IssueSeverity);

type Part = { readonly type: string } | { readonly severity: IssueSeverity } | { readonly machine: MachineCondition };

/** What a condition may be. Types that only a newer server knows pass. */
export const issueRules: ConditionRules<Part> = {
  parse: (text) => {
    const { key, value } = splitCondition(text);
    if (key === "severity") return { severity: oneOf(severities.find, value, severities.names) };
    if (key !== "type") return { machine: parseMachineCondition(text) };
    if (!/^[a-z0-9_]{1,64}$/.test(value)) throw new Error(`"${value}" is not a type of issues, such as disk_failing.`);
    return { type: value };
  },
  repeatable: ["type", "severity", ...repeatableMachineKeys],
  suggestions: [
    ...severities.names.toReversed().map((name) => `severity=${name}`),
    ...issueTypeNames.map((name) => `type=${name}`),
    ...machineSuggestions,
  ],
};

/** Returns what to ask the API for. Without conditions on machines, issues of the server are among the answers. */
export function toIssuesRequest({ filter = [] }: ConditionSearch) {
  const parts = filter.map(issueRules.parse);
  const machines = parts.flatMap((part) => ("machine" in part ? [part.machine] : []));
  return {
    types: parts.flatMap((part) => ("type" in part ? [part.type] : [])),
    severities: parts.flatMap((part) => ("severity" in part ? [part.severity] : [])),
    ...(machines.length > 0 && { filter: joinMachineConditions(machines) }),
  };
}

/** Returns the words of the command that lists the same. */
export function toIssuesCommand({ filter = [] }: ConditionSearch): string[] {
  const of = (key: string) => filter.map(splitCondition).flatMap((each) => (each.key === key ? [each.value] : []));
  const selector = filter.filter((each) => !["type", "severity"].includes(splitCondition(each).key));
  const option = (name: string, values: readonly string[]) => (values.length === 0 ? [] : [name, ...values]);
  return [
    ...["bmaas", "issues"],
    ...option("--type", of("type")),
    ...option("--severity", of("severity")),
    ...selector.flatMap((each) => ["--selector", each.replaceAll(",", "\\,")]),
  ];
}
