/** Finds the paths that lead to the same disk, so that it is reported and counted once. */
import { BlockDevice_Protocol as Protocol } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { isUsb } from "./disk-kind.ts";
import type { SysfsDisk } from "./sysfs-disks.ts";

/** Serial numbers that many disks have. */
const placeholder = /^(.)\1*$|^0?12345|^n\/?a$|^none$|^unknown$|^default|^serial|^deadbeef/i;

/**
 * Groups the block devices that are one disk, the names in order within a group, and the groups as their first members
 * come.
 *
 * Two are one disk when they have the same World Wide Name or, having none, the same serial number, maker, model and
 * logical unit of SCSI; and in either case the same size, and nothing that says otherwise. A disk that is hidden is
 * worse than one that is told twice.
 */
export function groupPaths(disks: readonly SysfsDisk[]): SysfsDisk[][] {
  const groups: SysfsDisk[][] = [];
  const groupsByKey = new Map<string, SysfsDisk[]>();
  for (const disk of disks) {
    const key = findKey(disk);
    const group = key === undefined ? undefined : groupsByKey.get(key);
    if (group !== undefined) {
      group.push(disk);
      continue;
    }
    const begun = [disk];
    groups.push(begun);
    if (key !== undefined) groupsByKey.set(key, begun);
  }
  return groups.map((group) => group.toSorted((a, b) => a.name.length - b.name.length || (a.name < b.name ? -1 : 1)));
}

/** What two paths to one disk have in common; undefined where nothing tells the disk from all others. */
function findKey(disk: SysfsDisk): string | undefined {
  const { protocol, device, wwn, wwid, serial, vendor, model, capacityBytes } = disk;
  const size = capacityBytes.toString();
  // Bridges of USB number all disks alike. MMC, and SATA at a port of its own, have one path.
  if (isUsb(device) || /\/ata\d+\//.test(device) || protocol === Protocol.MMC) return undefined;
  // Cheap disks share World Wide Names, but not together with the serial number.
  if (wwn.length > 0) return JSON.stringify([Buffer.from(wwn).toString("hex"), serial, model, size]);
  const isNumbered = serial.length > 3 && !placeholder.test(serial);
  if (wwid !== "")
    return wwid.startsWith("uuid.") || isNumbered ? JSON.stringify([wwid, serial, model, size]) : undefined;
  if (protocol !== Protocol.SCSI || !isNumbered || vendor === "") return undefined;
  // A RAID controller may tell its own serial number for each of its volumes, which differ in their logical unit then.
  const unit = /\/\d+:\d+:\d+:(\d+)\//.exec(device)?.[1] ?? "";
  return JSON.stringify([serial, vendor, model, size, unit]);
}
