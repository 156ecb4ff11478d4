/** Reads the machine's disks: their description from Linux, and their health as far as the disks state it in time. */
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type BlockDevice,
  BlockDeviceSchema,
  BlockDevice_Protocol as Protocol,
} from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { collectHealth, type HealthDeadlines } from "./collect-health.ts";
import type { DiskHealth } from "./disk-health.ts";
import { groupPaths } from "./disk-paths.ts";
import { type DevicesInUse, findDiskUse, readDevicesInUse } from "./disk-use.ts";
import { toInt32 } from "./fields.ts";
import { readPartitionTableId } from "./partition-table.ts";
import { findStableNames, type LinkedNames, readLinkedNames } from "./stable-names.ts";
import { findText, type SystemFiles } from "./sysfs.ts";
import { readSysfsDisks, type SysfsDisk } from "./sysfs-disks.ts";

/** The disks, and warnings about facts that could not be determined. */
export interface FoundBlockDevices {
  readonly fields: { readonly blockDevice: BlockDevice[] };
  readonly warnings: readonly string[];
}

/**
 * Reads the disks, each once, in the order of their kernel names. A disk's health that is not known in time is left
 * out, with a warning. Throws if Linux lists no block devices, and on other systems.
 */
export async function readBlockDevices(files: SystemFiles, deadlines: HealthDeadlines): Promise<FoundBlockDevices> {
  if (process.platform !== "linux") throw new Error("disks are detected on Linux only");
  const [disks, linked, inUse] = await Promise.all([
    readSysfsDisks(files.sys),
    readLinkedNames(files.dev),
    readDevicesInUse(files),
  ]);
  const groups = groupPaths(disks);
  const [{ health, warnings }, tables] = await Promise.all([
    collectHealth(groups, deadlines),
    readPartitionTables(files, groups, deadlines),
  ]);
  const sources = { sys: files.sys, linked, inUse, health, tables };
  const blockDevice = await Promise.all(groups.map((paths) => describe(paths, sources)));
  return { fields: { blockDevice }, warnings };
}

/** Maximum number of disks whose partition tables are read concurrently, and the time for each. */
const concurrency = 8;
const tableTimeoutMs = 2000;

/** Returns identifiers of partition tables by the kernel name of a disk's first path, as far as known in time. */
async function readPartitionTables(
  { dev }: SystemFiles,
  groups: readonly (readonly SysfsDisk[])[],
  { timeoutMs }: HealthDeadlines,
): Promise<ReadonlyMap<string, string>> {
  const tables = new Map<string, string>();
  if (dev === undefined) return tables;
  const endsAtMs = performance.now() + timeoutMs;
  const queue = groups.values();
  const work = async () => {
    for (const [disk] of queue) {
      const remainingMs = Math.min(tableTimeoutMs, endsAtMs - performance.now());
      if (disk === undefined || remainingMs < 1) return;
      const device = join(dev, disk.name.replaceAll("!", "/"));
      tables.set(disk.name, await readPartitionTableId(device, disk.logicalBlockSizeBytes ?? 512, remainingMs));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return tables;
}

interface Sources {
  readonly sys: string;
  readonly linked: LinkedNames;
  readonly inUse: DevicesInUse;
  readonly health: ReadonlyMap<string, DiskHealth>;
  readonly tables: ReadonlyMap<string, string>;
}

async function describe(
  paths: readonly SysfsDisk[],
  { sys, linked, inUse, health, tables }: Sources,
): Promise<BlockDevice> {
  const [disk] = paths as readonly [SysfsDisk];
  const { name, protocol, kind, vendor, model, serial, wwn, rotational, capacityBytes, hiddenPaths } = disk;
  return create(BlockDeviceSchema, {
    ...{ vendor, deviceModel: model, serialNumber: serial, wwn, rotational, capacityBytes, protocol, kind },
    logicalBlockSizeBytes: toInt32(disk.logicalBlockSizeBytes),
    physicalBlockSizeBytes: toInt32(disk.physicalBlockSizeBytes),
    kernelName: name,
    stableName: await findStableNames(paths, linked),
    use: await findDiskUse(
      sys,
      paths.map((path) => path.name),
      inUse,
    ),
    partitionTableId: tables.get(name) ?? "",
    path: paths.length > 1 ? paths.map((path) => path.name) : [...hiddenPaths],
    ...(health.get(name) ?? (protocol === Protocol.MMC ? await readMmcHealth(sys, name) : {})),
  });
}

/**
 * Returns the wear of an eMMC, the greater of its two kinds of cells in steps of a tenth, and whether its spare blocks
 * are used up (JESD84-B51 section 7.4.40).
 */
async function readMmcHealth(sys: string, name: string): Promise<Partial<DiskHealth>> {
  const [life = "", spare] = await Promise.all([
    findText(sys, "block", name, "device/life_time"),
    findText(sys, "block", name, "device/pre_eol_info"),
  ]);
  const tenths = Math.max(...life.split(" ").map((step) => Number(step) || 0));
  const isUsedUp = Number(spare) === 3;
  return { criticalWarning: isUsedUp, ...(tenths > 0 && tenths <= 11 && { usageRatio: tenths / 10 }) };
}
