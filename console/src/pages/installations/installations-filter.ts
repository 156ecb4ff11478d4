/** The filter of the page of installations. */
import { InstallationState } from "@api/installation_pb.js";
import { parseMachineId } from "../../../../src/contract/machine-id.ts";
import type { ConditionSearch } from "../../ui/condition-search.ts";
import { type ConditionRules, oneOf, splitCondition } from "../../ui/conditions.ts";
import { namesOf } from "../../ui/enum-names.ts";

/** States of installations by name. */
const installationStates = namesOf<InstallationState>(InstallationState);

type Part = { readonly state: InstallationState } | { readonly machineId: string };

/** What a condition may be. */
export const installationRules: ConditionRules<Part> = {
  parse: (text) => {
    const { key, value } = splitCondition(text);
    if (key === "machine") return { machineId: parseMachineId(value) };
    if (key !== "state") throw new Error(`There is no condition "${key}": there are state and machine.`);
    return { state: oneOf(installationStates.find, value, installationStates.names) };
  },
  repeatable: ["state"],
  suggestions: [...installationStates.names.map((name) => `state=${name}`), "machine="],
};

/** Returns what to ask the API for. */
export function toInstallationsRequest({ filter = [] }: ConditionSearch) {
  const parts = filter.map(installationRules.parse);
  return {
    states: parts.flatMap((part) => ("state" in part ? [part.state] : [])),
    machineId: parts.flatMap((part) => ("machineId" in part ? [part.machineId] : [])).at(-1) ?? "",
  };
}

/** Returns the words of the command that lists the same. */
export function toInstallationsCommand(search: ConditionSearch): string[] {
  const { states, machineId } = toInstallationsRequest(search);
  return [
    ...["bmaas", "install", "list"],
    ...(states.length > 0 ? ["--state", ...states.map(installationStates.nameOf)] : []),
    ...(machineId === "" ? [] : ["--machine", machineId]),
  ];
}
