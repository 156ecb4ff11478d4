/** Tests a single machine against a filter, with the same result as a list's query. */
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Machine } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { type LabelCondition, LabelOperator, type MachineFilter } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { findLabel } from "./labels.ts";

/** Returns whether `machine` passes the filter at `nowMs`, in milliseconds since the epoch. */
export function matchesFilter(machine: Machine, filter: MachineFilter, nowMs: number): boolean {
  const { provided, hardware } = machine;
  return (
    (filter.machineIds.length === 0 || namesMachine(filter, machine.id)) &&
    (filter.states.length === 0 || filter.states.includes(machine.state)) &&
    (filter.provider === "" || provided?.provider === filter.provider) &&
    (filter.location === "" || provided?.location === filter.location) &&
    (hardware?.memoryBytes ?? 0n) >= filter.minMemoryBytes &&
    (hardware?.cpuThreads ?? 0) >= filter.minCpuThreads &&
    (hardware?.largestDiskBytes ?? 0n) >= filter.minDiskBytes &&
    (filter.held === undefined || filter.held === (machine.hold !== undefined)) &&
    (filter.blocked === undefined || filter.blocked === (machine.health?.blocksInstall ?? false)) &&
    (filter.issueTypes.length === 0 || machine.issues.some(({ type }) => filter.issueTypes.includes(type))) &&
    (filter.stateOverdue === undefined || filter.stateOverdue === (machine.stateOverdueTime !== undefined)) &&
    (filter.missing === undefined || filter.missing === (machine.expected?.missing ?? false)) &&
    filter.labels.every((condition) => matchesLabel(machine, condition)) &&
    matchesStateAge(machine, filter, nowMs) &&
    matchesHeartbeatAge(machine, filter, nowMs)
  );
}

function matchesStateAge({ stateTime }: Machine, filter: MachineFilter, nowMs: number): boolean {
  const { minStateAge, maxStateAge } = filter;
  if (minStateAge === undefined && maxStateAge === undefined) return true;
  if (stateTime === undefined) return false;
  const ageMs = nowMs - timestampMs(stateTime);
  return (
    (minStateAge === undefined || ageMs >= durationMs(minStateAge)) &&
    (maxStateAge === undefined || ageMs <= durationMs(maxStateAge))
  );
}

function matchesLabel({ labels }: Machine, { key, operator, value }: LabelCondition): boolean {
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
      return false;
  }
}

/** Returns whether the filter names the machine, or names no machines. */
export function namesMachine({ machineIds }: MachineFilter, machineId: string): boolean {
  return machineIds.length === 0 || machineIds.some((id) => id.toLowerCase() === machineId);
}

/** Returns whether the age of the last heartbeat passes. If there was none, the age is infinite. */
function matchesHeartbeatAge({ agent }: Machine, filter: MachineFilter, nowMs: number): boolean {
  const heartbeatTime = agent?.heartbeatTime;
  const ageMs = heartbeatTime === undefined ? Number.POSITIVE_INFINITY : nowMs - timestampMs(heartbeatTime);
  return (
    (filter.minHeartbeatAge === undefined || ageMs >= durationMs(filter.minHeartbeatAge)) &&
    (filter.maxHeartbeatAge === undefined || ageMs <= durationMs(filter.maxHeartbeatAge))
  );
}
