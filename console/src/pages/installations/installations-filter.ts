/** The filter of the page of installations. */
import { InstallationState } from "@api/installation_pb.js";
import { namesOf } from "../../../../src/contract/enum-names.ts";
import { parseMachineId } from "../../../../src/contract/machine-id.ts";
import { joinParts, parseName, readTerm, type TermRules } from "../../../../src/contract/selector-terms.ts";
import type { ConditionSearch } from "../../ui/condition-search.ts";

/** States of installations by name. */
const installationStates = namesOf<InstallationState>(InstallationState);

interface Part {
  readonly states?: InstallationState[];
  readonly machineId?: string;
}

/** What a condition may be. */
export const installationRules: TermRules<Part> = {
  keys: {
    state: (value) => ({ states: [parseName(value, installationStates)] }),
    machine: (value) => ({ machineId: parseMachineId(value) }),
  },
  repeatable: ["state"],
  words: [...installationStates.names.map((name) => `state=${name}`), "machine="],
};

/** Returns what to ask the API for. */
export function toInstallationsRequest({ filter = [] }: ConditionSearch): Part {
  return joinParts(filter.map((each) => readTerm(each, installationRules)));
}

/** Returns the words of the command that lists the same. */
export function toInstallationsCommand(search: ConditionSearch): string[] {
  const { states = [], machineId } = toInstallationsRequest(search);
  return [
    ...["bmaas", "install", "list"],
    ...(states.length > 0 ? ["--state", ...states.map(installationStates.nameOf)] : []),
    ...(machineId === undefined ? [] : ["--machine", machineId]),
  ];
}
