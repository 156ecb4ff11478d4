/** A file, or a loop device, in the place of the machine's disks, so that nobody's own disk is at risk in a trial. */
import { realpath, stat } from "node:fs/promises";
import { basename } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type BlockDevice, BlockDeviceSchema, NodeSchema } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { AgentHardwareReportSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { describeIdentity, findDifference, findIdentity } from "../../contract/disk-identity.ts";
import type { CollectHardware } from "../hardware-feed.ts";
import { findDiskUse, findFileUse, readDevicesInUse } from "./disk-use.ts";
import { checkBlockDevice, checkDeviceNumber, DiskMismatchError, type FindDisk } from "./find-disk.ts";
import { readPartitionTableId } from "./partition-table.ts";
import { findCount, findText, type SystemFiles } from "./sysfs.ts";

/** Model that reports state for such a disk. */
const model = "bmaas disk file";
const sectorBytes = 512n;
const readTimeoutMs = 2000;
const system: SystemFiles = { sys: "/sys", proc: "/proc", dev: "/dev" };

/** Reads the file as the disk that an agent reports. Its serial number is its path. Throws if it cannot be read. */
export async function readFileDisk(file: string): Promise<BlockDevice> {
  const path = await realpath(file);
  const stats = await stat(path);
  const name = basename(path);
  const isDevice = stats.isBlockDevice();
  if (!isDevice && !stats.isFile()) throw new Error(`${file} is neither a file nor a block device`);
  const sectors = isDevice ? await findCount(system.sys, "class/block", name, "size") : 0;
  const capacityBytes = isDevice ? BigInt(sectors ?? 0) * sectorBytes : BigInt(stats.size);
  if (capacityBytes < sectorBytes) throw new Error(`${file} is empty: make it as large as the disk shall be`);
  const use = isDevice
    ? await findDiskUse(system.sys, [name], await readDevicesInUse(system))
    : await findFileUse(system, path);
  return create(BlockDeviceSchema, {
    ...{ deviceModel: model, serialNumber: path, capacityBytes, use },
    ...{ logicalBlockSizeBytes: 512, physicalBlockSizeBytes: 512 },
    kernelName: name
      .replaceAll(/[^A-Za-z0-9._-]/g, "_")
      .replace(/^[^A-Za-z0-9]/, "0")
      .slice(0, 64),
    partitionTableId: await readPartitionTableId(path, 512, readTimeoutMs),
  });
}

/** Returns a collector whose reports have the file as the machine's only disk. */
export function replaceDisks(collect: CollectHardware, file: string): CollectHardware {
  return async (options) => {
    const [report, disk] = await Promise.all([collect(options), readFileDisk(file)]);
    const node = report.report ?? create(NodeSchema);
    const warning = report.warning.filter((text) => !text.startsWith("block devices: "));
    return create(AgentHardwareReportSchema, { warning, report: { ...node, blockDevice: [disk] } });
  };
}

/** Creates what finds the disk that is this file, and refuses every other disk. */
export function createFileDiskFinder(file: string): FindDisk {
  return async (expected, { heldDevice } = {}) => {
    const disk = await readFileDisk(file).catch((error: Error) => {
      throw new DiskMismatchError(error.message);
    });
    const identity = findIdentity(disk);
    const difference = identity === undefined ? "identity" : findDifference(expected, identity);
    if (difference !== undefined) {
      const wanted = describeIdentity(expected);
      throw new DiskMismatchError(`the request expects the disk with ${wanted}: ${file} has another ${difference}`);
    }
    if (disk.use.length > 0) throw new DiskMismatchError(`${file} is in use: ${disk.use.join("; ")}`);
    const number = await findText(system.sys, "class/block", disk.kernelName, "dev");
    if (number !== undefined && disk.serialNumber.startsWith("/dev/")) {
      if (heldDevice === undefined) await checkBlockDevice(disk.serialNumber, number);
      else checkDeviceNumber(disk.serialNumber, heldDevice, number);
    }
    return { path: disk.serialNumber, name: disk.kernelName, capacityBytes: disk.capacityBytes };
  };
}
