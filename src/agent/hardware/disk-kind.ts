/** Tells the machine's disks from what only looks like one. */
import { BlockDevice_Kind as Kind } from "../../../gen/cloud/agent/api/hwreport_pb.js";

/** What is known of a block device. */
export interface KindFacts {
  readonly name: string;
  /** Where it stands in /sys/devices. */
  readonly device: string;
  /** As it names itself, vendor before model. */
  readonly title: string;
  readonly isAta: boolean;
  /** What the kernel says: that its medium can be taken out. */
  readonly isRemovable: boolean;
  /** What an ATA disk says itself. */
  readonly hasRemovableMedium: boolean | undefined;
  /** "MMC" is soldered to the board, "SD" is a card. */
  readonly mmcType: string | undefined;
  /** "removable" or "fixed", as firmware describes the port of an USB device. */
  readonly usbPort: string | undefined;
}

/**
 * What management controllers call the media that they present by USB: AMI and Supermicro "Virtual HDisk0" and "Virtual
 * Floppy", Dell "iDRAC", HPE "iLO", Cisco "vKVM-Mapped", OpenBMC Linux's own gadget. Volumes of RAID controllers have
 * such names, too, but no USB.
 */
const virtualMedia = /virtual|vmedia|\bidrac\b|\bilo\b|\bvkvm|\bimm\b|\bxcc\b|\blcdrive\b|file-(stor|cd) gadget/i;

/** Says what sort of thing a block device is. */
export function findKind(facts: KindFacts): Kind {
  const { name, device } = facts;
  if (/^(mtdblock|ubiblock)\d/.test(name) || device.includes("/mtd/")) return Kind.FLASH;
  if (/^pmem\d/.test(name)) return Kind.PERSISTENT_MEMORY;
  if (isUsb(device) && virtualMedia.test(facts.title)) return Kind.VIRTUAL_MEDIA;
  return canBeTakenOut(facts) ? Kind.REMOVABLE : Kind.DISK;
}

/** Whether a device hangs on USB. */
export function isUsb(device: string): boolean {
  return /\/usb\d+\//.test(device);
}

function canBeTakenOut({ device, isAta, isRemovable, hasRemovableMedium, mmcType, usbPort }: KindFacts): boolean {
  if (mmcType === "SD" || (isUsb(device) && usbPort === "removable")) return true;
  // Some kernels call every SATA disk in a bay that can be hot-plugged removable; the disk itself knows better.
  return isAta && !isUsb(device) ? hasRemovableMedium === true : isRemovable;
}
