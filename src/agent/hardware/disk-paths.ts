/** Finds the paths that lead to the same disk, so that it is reported and counted once. */
import { BlockDevice_Protocol as Protocol } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { isPlaceholderDiskSerialNumber } from "../../contract/firmware-placeholders.ts";
import { isUsb } from "./disk-kind.ts";
import type { SysfsDisk } from "./sysfs-disks.ts";

/**
 * Groups the block devices that are the same disk. Names are sorted within a group, and groups are in the order of
 * their first devices.
 *
 * Two block devices are the same disk if they have the same World Wide Name or, without one, the same serial number,
 * maker, model and logical unit of SCSI. In either case they must have the same size, and nothing may contradict it. If
 * in doubt a disk is reported twice, since hiding one would be worse.
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

/** Returns a key that all paths to one disk share, or undefined if nothing distinguishes the disk from all others. */
function findKey(disk: SysfsDisk): string | undefined {
  const { protocol, device, wwn, wwid, serial, vendor, model, capacityBytes } = disk;
  const size = capacityBytes.toString();
  // USB bridges give all disks the same numbers. MMC, and SATA disks at their own port, have one path.
  if (isUsb(device) || /\/ata\d+\//.test(device) || protocol === Protocol.MMC) return undefined;
  // Cheap disks may share a World Wide Name, but not the serial number as well.
  if (wwn.length > 0) return JSON.stringify([Buffer.from(wwn).toString("hex"), serial, model, size]);
  const isNumbered = serial.length > 3 && !isPlaceholderDiskSerialNumber(serial);
  if (wwid !== "")
    return wwid.startsWith("uuid.") || isNumbered ? JSON.stringify([wwid, serial, model, size]) : undefined;
  if (protocol !== Protocol.SCSI || !isNumbered || vendor === "") return undefined;
  // A RAID controller may state its own serial number for each of its volumes, which then differ in their logical unit.
  const unit = /\/\d+:\d+:\d+:(\d+)\//.exec(device)?.[1] ?? "";
  return JSON.stringify([serial, vendor, model, size, unit]);
}
