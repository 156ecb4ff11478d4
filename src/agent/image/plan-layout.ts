/** Decides how an image is laid out on a disk, before anything is written to it. */
import { randomBytes } from "node:crypto";
import { edgeBytes, ImageSizeError } from "./body-writer.ts";
import {
  addPartition,
  efiSystemTypes,
  findFreeNumber,
  findPartitionTable,
  fitGpt,
  gptTailBytes,
  type PartitionTable,
  PartitionTableError,
} from "./partition-table.ts";
import { createSeedVolume, seedLabel, seedVolumeBytes } from "./seed-volume.ts";
import type { Target } from "./target.ts";

/** Data for cloud-init on the installed system. */
export interface Seed {
  readonly machineId: string;
  readonly generation: bigint;
  readonly userData: Uint8Array;
}

/** How an image is laid out on a disk. */
export interface DiskLayout {
  readonly table: PartitionTable | undefined;
  /** Number of the image's EFI system partition; undefined if it has none. */
  readonly efiPartition: number | undefined;
  /** The partition with the data for cloud-init: its number, its place, and the volume that is written to it. */
  readonly seed: { readonly number: number; readonly startBytes: number; readonly volume: Buffer } | undefined;
}

/**
 * Plans the layout of an image that begins with `head`. Throws ImageSizeError or PartitionTableError if the image does
 * not fit the disk, or has no place for the seed.
 */
export function planLayout(head: Buffer, target: Target, seed: Seed | undefined): DiskLayout {
  const table = findPartitionTable(head);
  if (table !== undefined) checkFit(head, table, target);
  const efiPartition = table?.partitions.find(({ type }) => efiSystemTypes.has(type))?.number;
  return { table, efiPartition, seed: seed === undefined ? undefined : placeSeed(head, table, target, seed) };
}

/** Changes the first and the last MiB of the image, `head` and `tail`, to those of the disk. */
export function adaptEdges(head: Buffer, tail: Buffer, { table, seed }: DiskLayout, diskBytes: number): void {
  if (table === undefined) return;
  if (seed !== undefined) {
    const { number, startBytes, volume } = seed;
    const place = { number, startBytes, endBytes: startBytes + volume.length };
    addPartition(head, table, { ...place, name: seedLabel, guid: randomBytes(16) });
  }
  if (table.kind === "gpt") fitGpt(head, tail, { sectorBytes: table.sectorBytes, diskBytes });
}

/** Returns the end of the last partition. */
export function findPartitionsEnd(table: PartitionTable | undefined): number {
  return Math.max(0, ...(table?.partitions.map(({ endBytes }) => endBytes) ?? []));
}

function checkFit(head: Buffer, table: PartitionTable, { path, sizeBytes, sectorBytes }: Target): void {
  if (sectorBytes !== undefined && sectorBytes !== table.sectorBytes) {
    throw new PartitionTableError(
      `the image is made for disks with sectors of ${table.sectorBytes} bytes, and those of ${path} have ${sectorBytes}`,
    );
  }
  // A file that stands for a disk may have any size.
  if (sizeBytes % table.sectorBytes !== 0) {
    throw new PartitionTableError(
      `the image is made for disks with sectors of ${table.sectorBytes} bytes, and ${path} has ${sizeBytes} bytes`,
    );
  }
  const usableBytes = sizeBytes - (table.kind === "gpt" ? gptTailBytes(head, table.sectorBytes) : 0);
  const endBytes = findPartitionsEnd(table);
  if (endBytes <= usableBytes) return;
  throw new ImageSizeError(
    `the image is larger than ${path}: its partitions end at byte ${endBytes}, and the disk has ${sizeBytes} bytes`,
  );
}

/** Sectors that a master boot record can count. */
const maxMbrSectors = 2 ** 32;

/** Places the seed at the end of the disk, so that the last partition of the image can still grow. */
function placeSeed(
  head: Buffer,
  table: PartitionTable | undefined,
  target: Target,
  { machineId, generation, userData }: Seed,
) {
  if (table === undefined) {
    throw new PartitionTableError(
      "the request has user data, and the image has no partition table to add a partition to",
    );
  }
  const number = findFreeNumber(head, table);
  const countable =
    table.kind === "mbr" ? Math.min(target.sizeBytes, maxMbrSectors * table.sectorBytes) : target.sizeBytes;
  // Sectors of the last MiB are written last, and a GPT has its second copy there.
  const startBytes = Math.floor((countable - edgeBytes - seedVolumeBytes) / edgeBytes) * edgeBytes;
  if (startBytes < Math.max(edgeBytes, findPartitionsEnd(table))) {
    throw new ImageSizeError(
      `${target.path} has no room for the user data: a partition of ${seedVolumeBytes} bytes behind those of the image`,
    );
  }
  // JSON is YAML, too. cloud-init sets up a system again when the instance's id has changed.
  const metaData = {
    "instance-id": `${machineId}-${generation}`,
    "bmaas-machine-id": machineId,
    "bmaas-generation": `${generation}`,
  };
  const files = new Map([
    ["meta-data", Buffer.from(`${JSON.stringify(metaData, undefined, 2)}\n`)],
    ["user-data", userData],
  ]);
  return { number, startBytes, volume: createSeedVolume(files, target.sectorBytes ?? table.sectorBytes) };
}
