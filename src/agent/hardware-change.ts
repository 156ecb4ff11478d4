/** Decides whether two reports of one machine's hardware differ in a way that is worth reporting. */
import { clone, equals } from "@bufbuild/protobuf";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";

/** Returns whether anything differs, except the order of the warnings. */
export function isDifferent(before: AgentHardwareReport, after: AgentHardwareReport): boolean {
  return !equals(AgentHardwareReportSchema, withSortedWarnings(before), withSortedWarnings(after));
}

/**
 * Returns whether more differs than values that change in normal operation: the state of links, the share of memory
 * that the kernel uses, and the number of errors of a failing disk, which counts as changed each time it has doubled.
 */
export function hasChanged(before: AgentHardwareReport, after: AgentHardwareReport): boolean {
  return isDifferent(withoutMovement(before), withoutMovement(after));
}

function withSortedWarnings(report: AgentHardwareReport): AgentHardwareReport {
  return { ...report, warning: report.warning.toSorted() };
}

function withoutMovement(report: AgentHardwareReport): AgentHardwareReport {
  const copy = clone(AgentHardwareReportSchema, report);
  const node = copy.report;
  if (node === undefined) return copy;
  const percentage = Math.round(node.memoryUsableRatio * 100);
  node.memoryUsableRatio = Number.isFinite(percentage) ? percentage : 0;
  for (const port of node.networkInterface) {
    port.linkUp = false;
    port.currentSpeedBytes = 0n;
  }
  for (const disk of node.blockDevice) {
    if (disk.mediaErrors !== undefined) disk.mediaErrors = countBits(disk.mediaErrors);
  }
  return copy;
}

function countBits(count: bigint): bigint {
  return count <= 0n ? 0n : BigInt(count.toString(2).length);
}
