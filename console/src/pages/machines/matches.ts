/** Tells whether a machine that has just come or changed belongs to a list. */
import type { Machine } from "@api/machine_pb.js";
import { type LabelCondition, LabelOperator, type MachineFilter } from "@api/machine_service_pb.js";
import { findLabel } from "../../../../src/contract/labels.ts";

/** Returns whether the machine matches; undefined if only the server knows. */
export function matches(machine: Machine, filter: MachineFilter): boolean | undefined {
  const { states, provider, location, machineIds, labels, held, blocked, issueTypes, stateOverdue, missing } = filter;
  const known = [
    states.length === 0 || states.includes(machine.state),
    provider === "" || machine.provided?.provider === provider,
    location === "" || machine.provided?.location === location,
    machineIds.length === 0 || machineIds.includes(machine.id),
    labels.every((condition) => matchesLabel(machine.labels, condition)),
    held === undefined || held === (machine.hold !== undefined),
    blocked === undefined || blocked === (machine.health?.blocksInstall ?? false),
    issueTypes.length === 0 || machine.issues.some(({ type }) => issueTypes.includes(type)),
    missing === undefined || missing === (machine.expected?.missing ?? false),
  ];
  if (known.includes(false)) return false;
  // Depends on the server's settings and clock.
  return stateOverdue === undefined ? true : undefined;
}

function matchesLabel(labels: Readonly<Record<string, string>>, { key, operator, value }: LabelCondition): boolean {
  const own = findLabel(labels, key);
  switch (operator) {
    case LabelOperator.EQUALS:
      return own === value;
    case LabelOperator.DIFFERS:
      return own !== value;
    case LabelOperator.EXISTS:
      return own !== undefined;
    case LabelOperator.MISSING:
      return own === undefined;
    default:
      return true;
  }
}
