/**
 * The disks as Linux has them in /sys, with neither udev nor any tool: agents run in an initramfs, where there is none.
 */
import { BlockDevice_Protocol as Protocol } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { findKind, isUsb, type KindFacts } from "./disk-kind.ts";
import { toText } from "./fields.ts";
import { type PageIdentity, readPages, readT10Text, toWwn } from "./scsi-identity.ts";
import { findAbove, findBytes, findCount, findTarget, findText, listNames } from "./sysfs.ts";

/** One block device that is no partition and not made of others. */
export interface SysfsDisk {
  /** The kernel's, for example "sda". */
  readonly name: string;
  /** Where it stands in /sys/devices. */
  readonly device: string;
  readonly protocol: Protocol;
  readonly kind: ReturnType<typeof findKind>;
  /** Empty where there is none, as the other texts are. */
  readonly vendor: string;
  readonly model: string;
  readonly serial: string;
  /** NAA or EUI-64; empty where there is none. */
  readonly wwn: Uint8Array<ArrayBuffer>;
  /** What Linux tells disks apart by, for example "naa.5000c500a1b2c3d4" or "uuid.…"; empty where there is none. */
  readonly wwid: string;
  /** The number of an NVMe namespace. */
  readonly namespace: number | undefined;
  readonly rotational: boolean;
  readonly capacityBytes: bigint;
  readonly logicalBlockSizeBytes: number | undefined;
  readonly physicalBlockSizeBytes: number | undefined;
  /** The paths of an NVMe disk that Linux joins itself; they have no device node. */
  readonly hiddenPaths: readonly string[];
}

/** Linux counts a disk's size in these, whatever its block size is. */
const sectorBytes = 512n;

/** Reads all disks that have a medium, in the order of their names. Throws when `sys` has no block devices to list. */
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
      // MMC has the model under another name.
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
 * Leaves out what is made of others (device mapper, software RAID, loop devices), memory, what is somewhere on the
 * network, optical and floppy drives, and the boot partitions of eMMC. A disk whose paths NVMe joins itself counts as
 * virtual to Linux, but is one.
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
    // Of virtio disks it stands beside the size, of NVMe and MMC with the device.
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
    // SCSI cuts the model of an ATA disk after 16 characters.
    model: isAta && whole?.startsWith(model) ? whole : undefined,
    serial: serial ?? (isUsb(device) ? await findAbove(device, sys, "serial", "idVendor") : undefined),
    wwn: parseWwid(wwid) ?? pages.wwn ?? parseDigits(nguid) ?? parseDigits(eui),
    hasRemovableMedium: pages.hasRemovableMedium,
  };
}

/**
 * NAA and EUI-64 identifiers are hexadecimal after their prefix; others, "uuid.…" and "t10.…", are no World Wide Names.
 */
function parseWwid(wwid: string): Uint8Array<ArrayBuffer> | undefined {
  return parseDigits(/^(?:naa|eui)\.((?:[0-9a-f]{2}){8,16})$/i.exec(wwid)?.[1]);
}

function parseDigits(text: string | undefined): Uint8Array<ArrayBuffer> | undefined {
  const digits = text?.replaceAll(/[ -]/g, "") ?? "";
  return /^(?:[0-9a-f]{2}){8,16}$/i.test(digits) ? toWwn(Buffer.from(digits, "hex")) : undefined;
}
