/**
 * Derives figures from a hardware report, by which operators filter and sum. They fit their columns, whatever an agent
 * claims.
 */
import { BlockDevice_Kind as Kind } from "../../gen/cloud/agent/api/hwreport_pb.js";
import type { AgentHardwareReport } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { keepNamed, nameDisks, readSystemUuid } from "../contract/disk-identity.ts";
import { isPlaceholderSerialNumber } from "../contract/firmware-placeholders.ts";
import type { HardwareReportRow } from "../db/queries/heartbeat/heartbeat-row.ts";
import { toStorableText } from "./storable-text.ts";

/** Maximum length of a stored name, in UTF-16 code units. The report's own bytes are stored unchanged. */
const maxNameLength = 256;

const maxInt32 = 2 ** 31 - 1;
const maxInt64 = 2n ** 63n - 1n;

/**
 * Returns the figures of a report. Only disks among its block devices count as capacity. Negative figures count as 0,
 * and sums stop at the greatest number that fits their column.
 */
export function toHardwareFigures({
  report: node,
}: AgentHardwareReport): Omit<HardwareReportRow, "report" | "identifiers"> {
  let cpuThreads = 0;
  for (const { hardwareThreads } of node?.cpu ?? []) {
    cpuThreads = Math.min(maxInt32, cpuThreads + Math.max(0, hardwareThreads));
  }
  let [diskBytes, largestDiskBytes] = [0n, 0n];
  for (const { capacityBytes, kind } of node?.blockDevice ?? []) {
    if (kind !== Kind.DISK) continue;
    const size = notNegative(capacityBytes);
    diskBytes = diskBytes + size > maxInt64 ? maxInt64 : diskBytes + size;
    if (size > largestDiskBytes) largestDiskBytes = size;
  }
  const serialNumber = toName(node?.serialNumber);
  return {
    manufacturer: toName(node?.manufacturer),
    product: toName(node?.product),
    serialNumber,
    ownSerialNumber: serialNumber && !isPlaceholderSerialNumber(serialNumber) ? serialNumber : undefined,
    memoryBytes: notNegative(node?.memoryInstalledBytes ?? 0n),
    cpuThreads,
    diskBytes,
    largestDiskBytes,
    systemUuid: readSystemUuid(node),
    disks: JSON.stringify(keepNamed(nameDisks(node?.blockDevice ?? []))),
  };
}

function notNegative(value: bigint): bigint {
  return value < 0n ? 0n : value;
}

function toName(text: string | undefined): string | undefined {
  return text ? toStorableText(text, maxNameLength) : undefined;
}
