/**
 * Reads an image's partition table, and adapts it to the disk: a GPT (UEFI specification 2.10 section 5.3) or the
 * partition table of a master boot record.
 */
import { crc32 } from "node:zlib";
import { hasBootSignature } from "./image-format.ts";

/** The image's partition table is damaged, or does not fit the disk. */
export class PartitionTableError extends Error {
  override readonly name = "PartitionTableError";
}

/** A partition, in bytes from the beginning of the disk. */
export interface Partition {
  readonly number: number;
  readonly startBytes: number;
  readonly endBytes: number;
  /** Type as in the table: a GUID in upper case, or two hexadecimal digits. */
  readonly type: string;
}

/** A partition table within the first MiB of an image. */
export interface PartitionTable {
  readonly kind: "gpt" | "mbr";
  /** Size of the sectors that the table counts in. */
  readonly sectorBytes: number;
  readonly partitions: readonly Partition[];
}

/** Type of an EFI system partition in a GPT (UEFI specification 2.10 table 5.7) and in a master boot record. */
export const efiSystemTypes: ReadonlySet<string> = new Set(["C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "EF"]);

const gptSignature = "EFI PART";
const protectiveType = 0xee;

/**
 * Returns the partition table of an image that begins with `head`, or undefined if it has none. Throws
 * PartitionTableError for a damaged GPT.
 */
export function findPartitionTable(head: Buffer): PartitionTable | undefined {
  for (const sectorBytes of [512, 4096]) {
    const signature = head.subarray(sectorBytes, sectorBytes + 8).toString("latin1");
    if (signature === gptSignature) return readGpt(head, sectorBytes);
  }
  return readMbr(head);
}

/** Byte offsets of a GPT header's fields. */
const gptField = {
  headerBytes: 12,
  headerCrc: 16,
  ownLba: 24,
  alternateLba: 32,
  lastUsableLba: 48,
  entriesLba: 72,
  entryCount: 80,
  entryBytes: 84,
  entriesCrc: 88,
} as const;

interface GptLayout {
  readonly header: Buffer;
  readonly entries: Buffer;
  readonly entryBytes: number;
}

/** Returns views of the header and the entries in `head`. */
function viewGpt(head: Buffer, sectorBytes: number): GptLayout {
  const sector = head.subarray(sectorBytes, 2 * sectorBytes);
  if (sector.length < sectorBytes)
    throw new PartitionTableError("the image's GPT is damaged: it ends within its header");
  const headerBytes = sector.readUInt32LE(gptField.headerBytes);
  const entryBytes = sector.readUInt32LE(gptField.entryBytes);
  const start = Number(sector.readBigUInt64LE(gptField.entriesLba)) * sectorBytes;
  const end = start + sector.readUInt32LE(gptField.entryCount) * entryBytes;
  if (
    headerBytes < 92 ||
    headerBytes > sectorBytes ||
    entryBytes < 128 ||
    start < 2 * sectorBytes ||
    end > head.length
  ) {
    throw new PartitionTableError("the image's GPT is damaged, or has its entries behind the first MiB");
  }
  return { header: sector.subarray(0, headerBytes), entries: head.subarray(start, end), entryBytes };
}

function readGpt(head: Buffer, sectorBytes: number): PartitionTable {
  const { header, entries, entryBytes } = viewGpt(head, sectorBytes);
  const isSound =
    computeHeaderCrc(header) === header.readUInt32LE(gptField.headerCrc) &&
    crc32(entries) === header.readUInt32LE(gptField.entriesCrc);
  if (!isSound) throw new PartitionTableError("the image's GPT is damaged: its checksum is wrong");
  const partitions: Partition[] = [];
  for (let at = 0; at < entries.length; at += entryBytes) {
    const type = readGuid(entries.subarray(at));
    if (/^[0-]+$/.test(type)) continue;
    const [first, last] = [entries.readBigUInt64LE(at + 32), entries.readBigUInt64LE(at + 40)];
    partitions.push({
      number: at / entryBytes + 1,
      startBytes: Number(first) * sectorBytes,
      endBytes: Number(last + 1n) * sectorBytes,
      type,
    });
  }
  return { kind: "gpt", sectorBytes, partitions };
}

function computeHeaderCrc(header: Buffer): number {
  const copy = Buffer.from(header);
  copy.writeUInt32LE(0, gptField.headerCrc);
  return crc32(copy);
}

/** Returns a GUID in the mixed byte order of GPT (UEFI specification 2.10 appendix A), in upper case. */
export function readGuid(bytes: Buffer): string {
  const part = (from: number, to: number) => bytes.subarray(from, to).toString("hex");
  const swapped = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).reverse().toString("hex");
  return [swapped(0, 4), swapped(4, 6), swapped(6, 8), part(8, 10), part(10, 16)].join("-").toUpperCase();
}

const mbrEntriesAt = 446;
const mbrEntryBytes = 16;
const mbrEntryCount = 4;

/** Returns undefined where a boot sector has code or a file system in the place of the four entries. */
function readMbr(head: Buffer): PartitionTable | undefined {
  if (!hasBootSignature(head)) return undefined;
  const partitions: Partition[] = [];
  for (let number = 1; number <= mbrEntryCount; number++) {
    const entry = head.subarray(mbrEntriesAt + (number - 1) * mbrEntryBytes, mbrEntriesAt + number * mbrEntryBytes);
    const [status, type, first, count] = [entry[0], entry[4], entry.readUInt32LE(8), entry.readUInt32LE(12)];
    if (entry.every((byte) => byte === 0)) continue;
    if ((status !== 0 && status !== 0x80) || type === undefined || count === 0) return undefined;
    if (type === 0) continue;
    const startBytes = first * 512;
    partitions.push({ number, startBytes, endBytes: startBytes + count * 512, type: toHexByte(type) });
  }
  if (partitions.length === 1 && partitions[0]?.type === toHexByte(protectiveType)) {
    throw new PartitionTableError("the image's boot sector announces a GPT, and the image has none");
  }
  return partitions.length === 0 ? undefined : { kind: "mbr", sectorBytes: 512, partitions };
}

function toHexByte(byte: number): string {
  return byte.toString(16).padStart(2, "0").toUpperCase();
}

/** Bytes that a GPT needs at the end of a disk: the entries' copy and the header's. */
export function gptTailBytes(head: Buffer, sectorBytes: number): number {
  const { entries } = viewGpt(head, sectorBytes);
  return Math.ceil(entries.length / sectorBytes) * sectorBytes + sectorBytes;
}

/**
 * Moves the second copy of a GPT to the end of the disk: changes the first copy in `head`, the beginning of the disk,
 * and writes the second one to the end of `tail`, the end of the disk.
 */
export function fitGpt(
  head: Buffer,
  tail: Buffer,
  { sectorBytes, diskBytes }: { sectorBytes: number; diskBytes: number },
) {
  const { header, entries } = viewGpt(head, sectorBytes);
  const lastLba = BigInt(diskBytes / sectorBytes) - 1n;
  const entrySectors = BigInt(Math.ceil(entries.length / sectorBytes));
  header.writeBigUInt64LE(lastLba, gptField.alternateLba);
  header.writeBigUInt64LE(lastLba - entrySectors - 1n, gptField.lastUsableLba);
  header.writeUInt32LE(crc32(entries), gptField.entriesCrc);
  header.writeUInt32LE(computeHeaderCrc(header), gptField.headerCrc);
  growProtectiveEntry(head, lastLba);
  const second = Buffer.from(header);
  second.writeBigUInt64LE(lastLba, gptField.ownLba);
  second.writeBigUInt64LE(1n, gptField.alternateLba);
  second.writeBigUInt64LE(lastLba - entrySectors, gptField.entriesLba);
  second.writeUInt32LE(computeHeaderCrc(second), gptField.headerCrc);
  const tailBytes = Number(entrySectors) * sectorBytes + sectorBytes;
  tail.fill(0, tail.length - tailBytes);
  tail.set(entries, tail.length - tailBytes);
  tail.set(second, tail.length - sectorBytes);
}

/** Makes the protective entry cover the disk (UEFI specification 2.10 section 5.2.3). A hybrid record is left alone. */
function growProtectiveEntry(head: Buffer, lastLba: bigint): void {
  const entry = head.subarray(mbrEntriesAt, mbrEntriesAt + mbrEntryBytes);
  if (entry[4] !== protectiveType || entry.readUInt32LE(8) !== 1) return;
  entry.writeUInt32LE(Number(lastLba < 0xffffffffn ? lastLba : 0xffffffffn), 12);
}

/** Type of a partition with files that every system reads ("Microsoft basic data"), and its name in a GPT. */
const dataType = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7";
const fatType = 0x0e;

/**
 * Returns the number of the first unused entry behind the last partition, or else of the first unused one. Throws
 * PartitionTableError if the table is full.
 */
export function findFreeNumber(head: Buffer, { kind, sectorBytes, partitions }: PartitionTable): number {
  const used = new Set(partitions.map(({ number }) => number));
  const highest = Math.max(...used, 0);
  const gpt = kind === "gpt" ? viewGpt(head, sectorBytes) : undefined;
  const count = gpt === undefined ? mbrEntryCount : gpt.entries.length / gpt.entryBytes;
  const numbers = Array.from({ length: count }, (_, at) => at + 1).filter((number) => !used.has(number));
  const number = numbers.find((each) => each > highest) ?? numbers[0];
  if (number === undefined) throw new PartitionTableError("the image's partition table has no room for user data");
  return number;
}

/** A partition that is added to an image's. */
export interface NewPartition extends Pick<Partition, "number" | "startBytes" | "endBytes"> {
  /** Name in a GPT. */
  readonly name: string;
  /** Unique GUID in a GPT. */
  readonly guid: Buffer;
}

/** Adds a partition to the table in `head`. The checksums of a GPT are right only after `fitGpt`. */
export function addPartition(
  head: Buffer,
  { kind, sectorBytes }: PartitionTable,
  { number, name, guid, startBytes, endBytes }: NewPartition,
): void {
  const [first, last] = [startBytes / sectorBytes, endBytes / sectorBytes - 1];
  if (kind === "mbr") {
    const entry = head.subarray(mbrEntriesAt + (number - 1) * mbrEntryBytes, mbrEntriesAt + number * mbrEntryBytes);
    // Cylinder, head and sector are out of range, as they are for everything past 8 GiB.
    entry.set([0, 0xfe, 0xff, 0xff, fatType, 0xfe, 0xff, 0xff]);
    entry.writeUInt32LE(first, 8);
    entry.writeUInt32LE(last - first + 1, 12);
    return;
  }
  const { entries, entryBytes } = viewGpt(head, sectorBytes);
  const entry = entries.subarray((number - 1) * entryBytes, number * entryBytes).fill(0);
  entry.set(writeGuid(dataType), 0);
  entry.set(guid, 16);
  entry.writeBigUInt64LE(BigInt(first), 32);
  entry.writeBigUInt64LE(BigInt(last), 40);
  entry.write(name, 56, 72, "utf16le");
}

function writeGuid(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex");
  for (const [from, to] of [
    [0, 4],
    [4, 6],
    [6, 8],
  ] as const)
    bytes.subarray(from, to).reverse();
  return bytes;
}
