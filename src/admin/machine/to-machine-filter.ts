/** Converts filters from messages to the database's form. */
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { MachineFilter } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import type { MachineFilter as MachineCondition, MachineStateName } from "../../db/queries/machine-filter.ts";
import { readIssueTypes } from "../issue/to-issue.ts";
import type { ListScope } from "../page-token.ts";
import { readLabelConditions } from "./read-labels.ts";
import { machineStates } from "./to-machine.ts";

/**
 * Converts a filter to a canonical form: a field that is not set is undefined, sets are sorted and ids are in lower
 * case. Throws ConnectError with `invalid_argument` for an invalid condition on a label.
 */
export function toMachineCondition(filter: MachineFilter | undefined): MachineCondition {
  if (filter === undefined) return {};
  const names = Object.keys(machineStates) as MachineStateName[];
  const states = new Set(filter.states);
  const machineIds = new Set(filter.machineIds.map(parseMachineId));
  return {
    states: states.size === 0 ? undefined : names.filter((name) => states.has(machineStates[name])),
    provider: filter.provider || undefined,
    location: filter.location || undefined,
    minHeartbeatAgeSeconds: toSeconds(filter.minHeartbeatAge),
    maxHeartbeatAgeSeconds: toSeconds(filter.maxHeartbeatAge),
    minMemoryBytes: filter.minMemoryBytes || undefined,
    minCpuThreads: filter.minCpuThreads || undefined,
    minDiskBytes: filter.minDiskBytes || undefined,
    machineIds: machineIds.size === 0 ? undefined : [...machineIds].toSorted(),
    isHeld: filter.held,
    isBlocked: filter.blocked,
    isStateOverdue: filter.stateOverdue,
    isMissing: filter.missing,
    minStateAgeSeconds: toSeconds(filter.minStateAge),
    maxStateAgeSeconds: toSeconds(filter.maxStateAge),
    issueTypes: readIssueTypes("filter.issue_types", filter.issueTypes),
    labels: filter.labels.length === 0 ? undefined : readLabelConditions(filter.labels),
  };
}

/** Returns the scope that page tokens of a list with this filter are bound to. */
export function toListScope(condition: MachineCondition): ListScope {
  const fields = Object.entries(condition).filter(([, value]) => value !== undefined);
  return ["machines", ...fields.map(([name, value]) => [name, ...[value].flat().map(toText)])];
}

function toText(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function toSeconds(duration: Duration | undefined): number | undefined {
  return duration && durationMs(duration) / 1000;
}
