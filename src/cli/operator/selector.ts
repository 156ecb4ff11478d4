/** Parses `--selector provider=equinix,state=heartbeating` to a filter of the contract. */
import { create } from "@bufbuild/protobuf";
import { type MachineFilter, MachineFilterSchema } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { ConfigError } from "../../config/config.ts";
import { machineStates, machineTerms } from "../../contract/machine-selector.ts";
import { joinParts, readTerm, splitTerm, splitTerms, type TermRules } from "../../contract/selector-terms.ts";

/** Help for commands with a selector. */
export const selectorHelp = `
A selector is a comma-separated list of conditions; a machine must match all of them:
  state                   ${machineStates.names.slice(0, 6).join(", ")},
                          ${machineStates.names.slice(6).join(", ")}; repeat to match any
  provider, location      from the provider's data; write a comma in a value as \\,
  min-memory, min-disk    for example 16GiB, 1TB (of the largest disk)
  min-threads             hardware threads of all processors
  heartbeat-older-than    for example 90s, 15m, 2h, 30d; includes machines that never heartbeated
  heartbeat-younger-than  the same forms; machines with a more recent heartbeat
  in-state-longer-than    for example 1h; machines that have been in their state for longer
  in-state-shorter-than   the same forms; machines that have entered their state since
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
  return create(MachineFilterSchema, joinParts(parseTerms(selectors, machineTerms)));
}

/** Parses the terms of selectors, each to a part of a filter. Throws ConfigError with every mistake. */
export function parseTerms<Part extends object>(selectors: readonly string[], rules: TermRules<Part>): Part[] {
  const parts: Part[] = [];
  /** Fields of the filter that one term sets, unlike lists, which grow with each term. */
  const set = new Set<string>();
  const mistakes: string[] = [];
  for (const term of selectors.flatMap(splitTerms)) {
    try {
      const part = readTerm(term, rules);
      const fields = Object.entries(part).flatMap(([name, value]) => (Array.isArray(value) ? [] : [name]));
      if (fields.some((name) => set.has(name))) {
        throw new Error(`${splitTerm(term).key.replace(/^!/, "")} is given twice`);
      }
      for (const name of fields) set.add(name);
      parts.push(part);
    } catch (error) {
      mistakes.push(`--selector: ${(error as Error).message}`);
    }
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return parts;
}
