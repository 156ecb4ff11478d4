/** What a disk says about its own health, as far as smartctl is installed and could ask it. */
import type { Systeminformation } from "systeminformation";

/** The part of smartctl's JSON that NVMe disks fill (NVM Express base specification, SMART / Health Information log). */
interface NvmeLog {
  readonly critical_warning?: unknown;
  readonly media_errors?: unknown;
  readonly available_spare?: unknown;
  readonly percentage_used?: unknown;
}

/** Returns the health fields of a block device; those that the disk does not say are left out. */
export function findHealth(disk: Systeminformation.DiskLayoutData | undefined) {
  const smart = disk?.smartData as { nvme_smart_health_information_log?: NvmeLog } | undefined;
  const log = smart?.nvme_smart_health_information_log ?? {};
  const mediaErrors = findNumber(log.media_errors);
  const spare = findNumber(log.available_spare);
  const used = findNumber(log.percentage_used);
  const failing = disk?.smartStatus !== undefined && /fail/i.test(disk.smartStatus);
  return {
    criticalWarning: failing || (findNumber(log.critical_warning) ?? 0) > 0,
    ...(mediaErrors === undefined ? {} : { mediaErrors: BigInt(Math.trunc(mediaErrors)) }),
    ...(spare === undefined ? {} : { availableSpareRatio: spare / 100 }),
    ...(used === undefined ? {} : { usageRatio: used / 100 }),
  };
}

function findNumber(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}
