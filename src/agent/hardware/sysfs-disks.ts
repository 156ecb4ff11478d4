/**
 * Reads the disks from Linux's /sys, without udev and other tools, since agents also run in an initramfs without them.
 */
import { BlockDevice_Protocol as Protocol } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { findKind, isUsb, type KindFacts } from "./disk-kind.ts";
import { toText } from "./fields.ts";
import { type PageIdentity, readPages, readT10Text, toWwn } from "./scsi-identity.ts";
import { findAbove, findBytes, findCount, findTarget, findText, listNames } from "./sysfs.ts";

/** A block device that is not a partition and not composed of others. */
export interface SysfsDisk {
  /** The kernel's name, for example "sda". */
  readonly name: string;
  /** Path in /sys/devices. */
  readonly device: string;
  readonly protocol: Protocol;
  readonly kind: ReturnType<typeof findKind>;
  /** Empty if unknown, like the other texts. */
  readonly vendor: string;
  readonly model: string;
  readonly serial: string;
  /** NAA or EUI-64; empty if there is none. */
  readonly wwn: Uint8Array<ArrayBuffer>;
  /** Linux's identifier of the disk, for example "naa.5000c500a1b2c3d4" or "uuid.…"; empty if there is none. */
  readonly wwid: string;
  /** The number of an NVMe namespace. */
  readonly namespace: number | undefined;
  readonly rotational: boolean;
  readonly capacityBytes: bigint;
  readonly logicalBlockSizeBytes: number | undefined;
  readonly physicalBlockSizeBytes: number | undefined;
  /** The paths of an NVMe disk that Linux combines itself. They have no device node. */
  readonly hiddenPaths: readonly string[];
}

/** Unit of a disk's size in Linux, whatever its block size is. */
const sectorBytes = 512n;

/** Reads all disks with a medium, in the order of their names. Throws if `sys` does not list block devices. */
export async function readSysfsDisks(sys: string): Promise<SysfsDisk[]> {
  const names = await listNames(sys, "block");
  const found = await Promise.all(names.map((name) => findDisk(sys, name)));
  const hidden = names.filter((name) => /^nvme\d+c\d+n\d+$/.test(name));
  return found
    .filter((disk) => disk !== undefined)
    .map((disk) => ({
      ...disk,
      hiddenPaths: hidden.filter((path) => path.replace(/c\d+/, "") === disk.name),
    }));
}

async function findDisk(sys: string, name: string): Promise<Omit<SysfsDisk, "hiddenPaths"> | undefined> {
  const of = (path: string): [string, ...string[]] => [sys, "block", name, path];
  const [device = "", sectors = 0, hidden] = await Promise.all([
    findTarget(sys, "block", name),
    findCount(...of("size")),
    findCount(...of("hidden")),
  ]);
  if (sectors === 0 || hidden === 1 || !isWholeDisk(name, device)) return undefined;
  const [vendor = "", model = "", rotational, logical, physical, removable, namespace, mmcType, usbPort] =
    await Promise.all([
      findText(...of("device/vendor")),
      // MMC devices have the model under another name.
      findText(...of("device/model")).then((text) => text ?? findText(...of("device/name"))),
      findCount(...of("queue/rotational")),
      findCount(...of("queue/logical_block_size")),
      findCount(...of("queue/physical_block_size")),
      findCount(...of("removable")),
      findCount(...of("nsid")),
      findText(...of("device/type")),
      isUsb(device) ? findAbove(device, sys, "removable") : undefined,
    ]);
  const isAta = /\/ata\d+\//.test(device) || vendor === "ATA";
  const identity = await readIdentity(sys, name, { device, model, isAta });
  const facts: KindFacts = {
    ...{ name, device, isAta, mmcType, usbPort, title: `${vendor} ${model}` },
    ...{ isRemovable: removable === 1, hasRemovableMedium: identity.hasRemovableMedium },
  };
  return {
    ...{ name, device, protocol: findProtocol(name, isAta), kind: findKind(facts) },
    // For virtio, "vendor" is a number; for ATA, it is the protocol.
    vendor: vendor.startsWith("0x") || vendor === "ATA" ? "" : toText(vendor),
    model: toText(identity.model ?? model),
    serial: toText(identity.serial),
    wwn: identity.wwn ?? new Uint8Array(),
    wwid: identity.wwid,
    namespace,
    rotational: rotational === 1,
    capacityBytes: BigInt(sectors) * sectorBytes,
    logicalBlockSizeBytes: logical,
    physicalBlockSizeBytes: physical,
  };
}

/**
 * Returns whether a block device is a disk. Others are composed devices (device mapper, software RAID, loop devices),
 * memory, network block devices, optical and floppy drives, and the boot partitions of eMMC. Linux counts a disk whose
 * NVMe paths it combines as virtual, but it is a disk.
 */
function isWholeDisk(name: string, device: string): boolean {
  const isVirtual = device.includes("/devices/virtual/") && !device.includes("/nvme-subsystem/");
  const isOther = /^(loop|ram|zram|sr|fd|nbd|rbd|drbd|dm-|md|bcache|zd|ublkb)\d/.test(name);
  return !isVirtual && !isOther && !/^mmcblk\d+(boot|rpmb|gp)/.test(name);
}

function findProtocol(name: string, isAta: boolean): Protocol {
  if (name.startsWith("nvme")) return Protocol.NVME;
  if (name.startsWith("mmcblk")) return Protocol.MMC;
  if (isAta) return Protocol.ATA;
  return name.startsWith("sd") ? Protocol.SCSI : Protocol.UNKNOWN;
}

interface Identity extends PageIdentity {
  readonly wwid: string;
}

async function readIdentity(
  sys: string,
  name: string,
  { device, model, isAta }: { device: string; model: string; isAta: boolean },
): Promise<Identity> {
  const of = (path: string): [string, ...string[]] => [sys, "block", name, path];
  const [ownSerial, serialNumber, identification, ata, wwid = "", nguid, eui] = await Promise.all([
    // Virtio disks have it next to the size, NVMe and MMC disks at the device.
    findText(...of("serial")).then((text) => text ?? findText(...of("device/serial"))),
    findBytes(...of("device/vpd_pg80")),
    findBytes(...of("device/vpd_pg83")),
    findBytes(...of("device/vpd_pg89")),
    findText(...of("wwid")).then((text) => text ?? findText(...of("device/wwid"))),
    findText(...of("nguid")),
    findText(...of("eui")),
  ]);
  const pages = readPages({ serialNumber, identification, ata });
  const named = readT10Text(wwid, pages.serial);
  const serial = ownSerial ?? pages.serial ?? named.serial;
  const whole = pages.model ?? named.model;
  return {
    wwid,
    // SCSI truncates the model of an ATA disk to 16 characters.
    model: isAta && whole?.startsWith(model) ? whole : undefined,
    serial: serial ?? (isUsb(device) ? await findAbove(device, sys, "serial", "idVendor") : undefined),
    wwn: parseWwid(wwid) ?? pages.wwn ?? parseDigits(nguid) ?? parseDigits(eui),
    hasRemovableMedium: pages.hasRemovableMedium,
  };
}

/**
 * Parses NAA and EUI-64 identifiers, which are hexadecimal after their prefix. Others, "uuid.…" and "t10.…", are not
 * World Wide Names.
 */
function parseWwid(wwid: string): Uint8Array<ArrayBuffer> | undefined {
  return parseDigits(/^(?:naa|eui)\.((?:[0-9a-f]{2}){8,16})$/i.exec(wwid)?.[1]);
}

function parseDigits(text: string | undefined): Uint8Array<ArrayBuffer> | undefined {
  const digits = text?.replaceAll(/[ -]/g, "") ?? "";
  return /^(?:[0-9a-f]{2}){8,16}$/i.test(digits) ? toWwn(Buffer.from(digits, "hex")) : undefined;
}
