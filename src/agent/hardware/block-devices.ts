/** The whole disks of the machine. */
import { create } from "@bufbuild/protobuf";
import { diskLayout, type Systeminformation } from "systeminformation";
import {
  type BlockDevice,
  BlockDeviceSchema,
  BlockDevice_Protocol as Protocol,
} from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { findHealth } from "./disk-health.ts";
import { toInt32, toInt64, toText } from "./fields.ts";
import { findBytes, findCount, findTarget, findText, listNames, type SystemFiles } from "./sysfs.ts";

/** What systeminformation tells of one disk. */
export type Disk = Systeminformation.DiskLayoutData;

/** Linux counts a disk's size in these, whatever its block size is. */
const sectorBytes = 512;

/** Reads the disks from Linux, with serial number and health by systeminformation's tools; elsewhere all from those. */
export async function readBlockDevices({ sys }: SystemFiles): Promise<BlockDevice[]> {
  const layout = diskLayout();
  if (process.platform !== "linux") return (await layout).map(describeElsewhere);
  const [names, disks] = await Promise.all([listNames(sys, "block"), layout]);
  const known = new Map(disks.map((disk) => [disk.device.replace("/dev/", ""), disk]));
  const found = await Promise.all(names.map((name) => findDisk(sys, name, known.get(name))));
  return found.filter((item) => item !== undefined);
}

async function findDisk(sys: string, name: string, known: Disk | undefined): Promise<BlockDevice | undefined> {
  const of = (...path: string[]): [string, ...string[]] => [sys, "block", name, ...path];
  const [target = "", sectors = 0, hidden] = await Promise.all([
    findTarget(...of()),
    findCount(...of("size")),
    findCount(...of("hidden")),
  ]);
  if (sectors === 0 || hidden === 1 || !isWholeDisk(name, target)) return undefined;
  const [vendor, model, serial, page80, wwid, rotational, logical, physical] = await Promise.all([
    findText(...of("device/vendor")),
    findText(...of("device/model")),
    findText(...of("device/serial")),
    findBytes(...of("device/vpd_pg80")),
    findText(...of("wwid")).then((text) => text ?? findText(...of("device/wwid"))),
    findCount(...of("queue/rotational")),
    findCount(...of("queue/logical_block_size")),
    findCount(...of("queue/physical_block_size")),
  ]);
  // For virtio, "vendor" is a number; for ATA, it is the protocol.
  const named = vendor !== undefined && !vendor.startsWith("0x") && vendor !== "ATA";
  return create(BlockDeviceSchema, {
    vendor: toText(named ? vendor : known?.vendor),
    deviceModel: toText(model ?? known?.name),
    // The unit serial number page of SCSI (SPC-5 section 7.7.20) has four bytes before the text.
    serialNumber: toText(serial ?? page80?.subarray(4).toString("latin1").replaceAll("\0", "") ?? known?.serialNum),
    wwn: parseWwn(wwid),
    rotational: rotational === 1,
    capacityBytes: toInt64(sectors * sectorBytes),
    logicalBlockSizeBytes: toInt32(logical),
    physicalBlockSizeBytes: toInt32(physical),
    protocol: findProtocol(name, target, vendor),
    ...findHealth(known),
  });
}

/** Leaves out loop devices and the like, optical drives, and the boot partitions of eMMC; NVMe multipath heads count as real. */
function isWholeDisk(name: string, target: string): boolean {
  const virtual = target.includes("/devices/virtual/") && !target.includes("/nvme-subsystem/");
  return !virtual && !/^(loop|ram|zram|sr|fd|nbd|dm-|md)\d/.test(name) && !/^mmcblk\d+(boot|rpmb|gp)/.test(name);
}

function findProtocol(name: string, target: string, vendor: string | undefined): Protocol {
  if (name.startsWith("nvme")) return Protocol.NVME;
  if (name.startsWith("mmcblk")) return Protocol.MMC;
  if (/\/ata\d+\//.test(target) || vendor === "ATA") return Protocol.ATA;
  return name.startsWith("sd") ? Protocol.SCSI : Protocol.UNKNOWN;
}

/** NAA and EUI-64 identifiers are hexadecimal after their prefix. */
function parseWwn(wwid: string | undefined): Uint8Array<ArrayBuffer> {
  const [, digits = ""] = /^(?:naa|eui)\.((?:[0-9a-f]{2}){8,16})$/i.exec(wwid ?? "") ?? [];
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function describeElsewhere(disk: Disk): BlockDevice {
  const protocols: Record<string, Protocol> = { NVMe: Protocol.NVME, PCIe: Protocol.NVME, SATA: Protocol.ATA };
  return create(BlockDeviceSchema, {
    vendor: toText(disk.vendor),
    deviceModel: toText(disk.name),
    serialNumber: toText(disk.serialNum),
    rotational: disk.type === "HD",
    capacityBytes: toInt64(disk.size),
    logicalBlockSizeBytes: toInt32(disk.bytesPerSector),
    protocol: protocols[disk.interfaceType] ?? Protocol.UNKNOWN,
    ...findHealth(disk),
  });
}
