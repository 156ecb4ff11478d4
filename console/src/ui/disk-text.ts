/** Disks in words. */
import type { InstallationDisk } from "@api/installation_pb.js";
import { formatBytes } from "./format.ts";

/** Returns a disk such as "sda, Samsung SSD 860, serial number S3Z8NB0K123456, WWN 0x5002538e40a1b2c3, 960 GB". */
export function describeDisk(disk: InstallationDisk): string {
  const { kernelName, model, serialNumber, wwn, capacityBytes, byPath } = disk;
  return [
    kernelName,
    model,
    serialNumber && `serial number ${serialNumber}`,
    wwn && `WWN ${wwn}`,
    byPath,
    formatBytes(capacityBytes),
  ]
    .filter(Boolean)
    .join(", ");
}
