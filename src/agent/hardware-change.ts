/** Whether two reports of one machine's hardware differ in what anybody would want to be told of. */
import { clone, equals } from "@bufbuild/protobuf";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";

/** Says whether anything differs, but for the order of the warnings. */
export function isDifferent(before: AgentHardwareReport, after: AgentHardwareReport): boolean {
  return !equals(AgentHardwareReportSchema, withSortedWarnings(before), withSortedWarnings(after));
}

/**
 * Says whether more differs than what moves by itself: links that come and go, memory that the kernel takes, and errors
 * of a disk that fails, which count as changed each time that they have doubled.
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
