/** The filter of the page of issues: types, severities, and conditions on the machines. */
import type { IssueSeverity } from "@api/issue_pb.js";
import { issueTypeNames } from "../../../../src/contract/issue-types.ts";
import { type MachineFilterPart, machineTerms } from "../../../../src/contract/machine-selector.ts";
import { joinParts, joinTerms, parseName, readTerm, type TermRules } from "../../../../src/contract/selector-terms.ts";
import type { ConditionSearch } from "../../ui/condition-search.ts";
import { valuesOf } from "../../ui/conditions.ts";
import { issueSeverities } from "../../ui/severity.tsx";

interface Part {
  readonly types?: string[];
  readonly severities?: IssueSeverity[];
  readonly machines?: MachineFilterPart[];
}

const ofMachine = (part: MachineFilterPart): Part => ({ machines: [part] });

/** What a condition may be. Types that only a newer server knows pass. */
export const issueRules: TermRules<Part> = {
  keys: {
    severity: (value) => ({ severities: [parseName(value, issueSeverities, "severity")] }),
    type: (value) => ({ types: [parseType(value)] }),
    ...Object.fromEntries(
      Object.entries(machineTerms.keys).map(([key, parse]) => [key, (value: string) => ofMachine(parse(value))]),
    ),
  },
  moreKeys: machineTerms.moreKeys ?? [],
  readOther: (term) => {
    const part = machineTerms.readOther?.(term);
    return part && ofMachine(part);
  },
  repeatable: ["type", "severity", ...machineTerms.repeatable],
  words: [
    ...issueSeverities.names.toReversed().map((name) => `severity=${name}`),
    ...issueTypeNames.map((name) => `type=${name}`),
    ...machineTerms.words,
  ],
};

function parseType(name: string): string {
  if (/^[a-z0-9_]{1,64}$/.test(name)) return name;
  throw new Error(`${JSON.stringify(name.slice(0, 80))} is not a type of issues, such as disk_failing`);
}

/** Returns what to ask the API for. Without conditions on machines, issues of the server are among the answers. */
export function toIssuesRequest({ filter = [] }: ConditionSearch) {
  const { machines = [], ...request } = joinParts(filter.map((each) => readTerm(each, issueRules)));
  return { ...request, ...(machines.length > 0 && { filter: joinParts(machines) }) };
}

/** Returns the words of the command that lists the same. */
export function toIssuesCommand({ filter = [] }: ConditionSearch): string[] {
  const own = ["type", "severity"] as const;
  const selector = filter.filter((each) => !own.some((key) => each.startsWith(`${key}=`)));
  return [
    ...["bmaas", "issues"],
    ...own.flatMap((key) => {
      const values = valuesOf(filter, key);
      return values.length === 0 ? [] : [`--${key}`, ...values];
    }),
    ...(selector.length === 0 ? [] : ["--selector", joinTerms(selector)]),
  ];
}
