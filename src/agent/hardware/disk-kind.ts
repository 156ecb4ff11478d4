/** Distinguishes the machine's disks from devices that only look like disks. */
import { BlockDevice_Kind as Kind } from "../../../gen/cloud/agent/api/hwreport_pb.js";

/** Facts about a block device. */
export interface KindFacts {
  readonly name: string;
  /** Path in /sys/devices. */
  readonly device: string;
  /** Its vendor and model, as the device states them. */
  readonly title: string;
  readonly isAta: boolean;
  /** Whether its medium can be removed, according to the kernel. */
  readonly isRemovable: boolean;
  /** Whether its medium can be removed, according to an ATA disk itself. */
  readonly hasRemovableMedium: boolean | undefined;
  /** "MMC" for a device that is soldered to the board, "SD" for a card. */
  readonly mmcType: string | undefined;
  /** "removable" or "fixed": the firmware's description of a USB device's port. */
  readonly usbPort: string | undefined;
}

/**
 * Names by which management controllers present virtual media over USB: AMI and Supermicro "Virtual HDisk0" and
 * "Virtual Floppy", Dell "iDRAC", HPE "iLO", Cisco "vKVM-Mapped", OpenBMC Linux's own gadget. Volumes of RAID
 * controllers have such names too, but are not on USB.
 */
const virtualMedia = /virtual|vmedia|\bidrac\b|\bilo\b|\bvkvm|\bimm\b|\bxcc\b|\blcdrive\b|file-(stor|cd) gadget/i;

/** Returns the kind of a block device. */
export function findKind(facts: KindFacts): Kind {
  const { name, device } = facts;
  if (/^(mtdblock|ubiblock)\d/.test(name) || device.includes("/mtd/")) return Kind.FLASH;
  if (/^pmem\d/.test(name)) return Kind.PERSISTENT_MEMORY;
  if (isUsb(device) && virtualMedia.test(facts.title)) return Kind.VIRTUAL_MEDIA;
  return canBeTakenOut(facts) ? Kind.REMOVABLE : Kind.DISK;
}

/** Returns whether a device is connected by USB. */
export function isUsb(device: string): boolean {
  return /\/usb\d+\//.test(device);
}

function canBeTakenOut({ device, isAta, isRemovable, hasRemovableMedium, mmcType, usbPort }: KindFacts): boolean {
  if (mmcType === "SD" || (isUsb(device) && usbPort === "removable")) return true;
  // Some kernels call every SATA disk in a hot-plug bay removable, so the disk's own statement counts.
  return isAta && !isUsb(device) ? hasRemovableMedium === true : isRemovable;
}
