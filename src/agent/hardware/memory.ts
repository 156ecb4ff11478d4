/** Reads how much memory is installed, and which share of it is usable. */
import { totalmem } from "node:os";
import { memLayout } from "systeminformation";
import { toInt64 } from "./fields.ts";
import { findStructures, structureTypes } from "./smbios.ts";
import { findText, type SystemFiles } from "./sysfs.ts";

const kibibyte = 1024;
const mebibyte = 1024 * 1024;

/** Offsets in a Memory Device structure (DSP0134 section 7.18). */
const offsets = { size: 0x0c, type: 0x12, extendedSize: 0x1c, technology: 0x28 } as const;

/** Values that are not sizes: "no memory device is installed in the socket", and "the size is unknown". */
const unsaidSizes: ReadonlySet<number> = new Set([0, 0xffff]);
/** "The actual size is stored in the Extended Size field." */
const extended = 0x7fff;

/**
 * Types that are not an operating system's memory: VRAM, SRAM, ROM, flash, EEPROM, FEPROM, EPROM, logical non-volatile
 * devices.
 */
const otherTypes: ReadonlySet<number> = new Set([0x05, 0x06, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x1f]);
/** Persistent memory: NVDIMM-N, NVDIMM-F, NVDIMM-P, Intel Optane. */
const persistentTechnologies: ReadonlySet<number> = new Set([0x04, 0x05, 0x06, 0x07]);

/** Sums the DRAM modules that SMBIOS lists. If it lists none, the usable memory counts as installed. */
export async function readMemory({ sys, proc }: SystemFiles) {
  const [usable, { bytes, warnings }] = await Promise.all([
    readUsableBytes(proc),
    process.platform === "linux" ? sumModules(sys) : sumModulesElsewhere(),
  ]);
  const installed = Math.max(bytes, usable);
  const memoryUsableRatio = installed > 0 ? usable / installed : 0;
  return { fields: { memoryInstalledBytes: toInt64(installed), memoryUsableRatio }, warnings };
}

async function readUsableBytes(proc: string): Promise<number> {
  const [, kibibytes] = /^MemTotal:\s*(\d{1,15}) kB$/m.exec((await findText(proc, "meminfo")) ?? "") ?? [];
  return kibibytes === undefined ? totalmem() : Number(kibibytes) * kibibyte;
}

async function sumModules(sys: string): Promise<{ bytes: number; warnings: string[] }> {
  const devices = await findStructures(sys, structureTypes.memoryDevice);
  const unreadable = "the modules that SMBIOS lists can be read by root only, so usable memory counts as fitted";
  if (devices === undefined) return { bytes: 0, warnings: [unreadable] };
  return { bytes: devices.reduce((sum, device) => sum + findDramBytes(device), 0), warnings: [] };
}

function findDramBytes(device: Buffer): number {
  if (device.length <= offsets.type || otherTypes.has(device[offsets.type] ?? 0)) return 0;
  // Structures of older versions end before this field.
  if (persistentTechnologies.has(device[offsets.technology] ?? 0)) return 0;
  const size = device.readUInt16LE(offsets.size);
  if (unsaidSizes.has(size)) return 0;
  if (size === extended && device.length >= offsets.extendedSize + 4) {
    return (device.readUInt32LE(offsets.extendedSize) & 0x7fff_ffff) * mebibyte;
  }
  return size & 0x8000 ? (size & 0x7fff) * kibibyte : size * mebibyte;
}

async function sumModulesElsewhere(): Promise<{ bytes: number; warnings: string[] }> {
  const modules = await memLayout();
  return { bytes: modules.reduce((sum, { size }) => sum + (Number.isFinite(size) ? size : 0), 0), warnings: [] };
}
