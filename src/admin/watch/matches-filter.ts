/** Whether a machine passes a filter, for watchers: what lists ask of the database, asked of one machine. */
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import type { MachineFilter } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";

/** Judges `machine` at `nowMs`. */
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
    matchesHeartbeatAge(machine, filter, nowMs)
  );
}

/** Whether the filter names the machine, or no machine at all. */
export function namesMachine({ machineIds }: MachineFilter, machineId: string): boolean {
  return machineIds.length === 0 || machineIds.some((id) => id.toLowerCase() === machineId);
}

/** A machine that never heartbeated is as old as can be. */
function matchesHeartbeatAge({ agent }: Machine, filter: MachineFilter, nowMs: number): boolean {
  const heartbeatTime = agent?.heartbeatTime;
  const ageMs = heartbeatTime === undefined ? Number.POSITIVE_INFINITY : nowMs - timestampMs(heartbeatTime);
  return (
    (filter.minHeartbeatAge === undefined || ageMs >= durationMs(filter.minHeartbeatAge)) &&
    (filter.maxHeartbeatAge === undefined || ageMs <= durationMs(filter.maxHeartbeatAge))
  );
}
