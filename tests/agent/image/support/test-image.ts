/** Disk images to install, built without the product's code. */
import { createCipheriv, createHash } from "node:crypto";
import { crc32 } from "node:zlib";

const sectorBytes = 512;
const mib = 1024 * 1024;
const efiSystemGuid = "28732ac11ff8d211ba4b00a0c93ec93b";
const linuxGuid = "af3dc60f838472478e793d69d8477de4";

/** Options of `createGptImage`. */
export interface GptImageOptions {
  /** A whole number of MiB, at least 4. Default: 8 MiB. */
  readonly sizeBytes?: number;
  /** Size of the sectors that the table counts in. Default: 512. */
  readonly tableSectorBytes?: number;
  /** Whether the root partition has zeros only. */
  readonly isEmpty?: boolean;
  /** Whether only the first two MiB are returned: all but the root partition and the second copy of the GPT. */
  readonly headOnly?: boolean;
}

/**
 * Creates an image with a boot sector, a GPT, an EFI system partition of 1 MiB and a root partition with noise, except
 * that its second MiB has zeros.
 */
export function createGptImage(options: GptImageOptions = {}): Buffer {
  const { sizeBytes = 8 * mib, tableSectorBytes = sectorBytes, isEmpty = false, headOnly = false } = options;
  const image = Buffer.alloc(headOnly ? 2 * mib : sizeBytes);
  image.write("boot code", 0);
  image.set([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0], 446);
  image.writeUInt32LE(sizeBytes / tableSectorBytes - 1, 458);
  image.writeUInt16LE(0xaa55, 510);
  const entries = Buffer.alloc(128 * 128);
  writeEntry(entries, 0, efiSystemGuid, mib / tableSectorBytes, (2 * mib) / tableSectorBytes - 1);
  writeEntry(entries, 1, linuxGuid, (2 * mib) / tableSectorBytes, (sizeBytes - mib) / tableSectorBytes - 1);
  const last = sizeBytes / tableSectorBytes - 1;
  const entrySectors = entries.length / tableSectorBytes;
  image.set(createHeader(entries, { own: 1, other: last, entriesLba: 2, last, tableSectorBytes }), tableSectorBytes);
  image.set(entries, 2 * tableSectorBytes);
  image.set(createNoise(mib, "efi"), mib);
  if (headOnly) return image;
  const second = { own: last, other: 1, entriesLba: last - entrySectors, last, tableSectorBytes };
  image.set(createHeader(entries, second), last * tableSectorBytes);
  image.set(entries, (last - entrySectors) * tableSectorBytes);
  if (isEmpty) return image;
  for (let at = 2 * mib; at < sizeBytes - mib; at += mib) if (at !== 3 * mib) image.set(createNoise(mib, `${at}`), at);
  return image;
}

function writeEntry(entries: Buffer, index: number, type: string, first: number, last: number): void {
  const at = index * 128;
  entries.set(Buffer.from(type, "hex"), at);
  entries.set(createNoise(16, `guid ${index}`), at + 16);
  entries.writeBigUInt64LE(BigInt(first), at + 32);
  entries.writeBigUInt64LE(BigInt(last), at + 40);
}

function createHeader(
  entries: Buffer,
  place: { own: number; other: number; entriesLba: number; last: number; tableSectorBytes: number },
): Buffer {
  const entrySectors = entries.length / place.tableSectorBytes;
  const header = Buffer.alloc(92);
  header.write("EFI PART", 0);
  header.writeUInt32LE(0x10000, 8);
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(BigInt(place.own), 24);
  header.writeBigUInt64LE(BigInt(place.other), 32);
  header.writeBigUInt64LE(BigInt(2 + entrySectors), 40);
  header.writeBigUInt64LE(BigInt(place.last - entrySectors - 1), 48);
  header.set(createNoise(16, "disk"), 56);
  header.writeBigUInt64LE(BigInt(place.entriesLba), 72);
  header.writeUInt32LE(128, 80);
  header.writeUInt32LE(128, 84);
  header.writeUInt32LE(crc32(entries), 88);
  header.writeUInt32LE(crc32(header), 16);
  return header;
}

/** Creates an image with a master boot record, and noise from 1 MiB on, which each of its Linux partitions covers. */
export function createMbrImage(sizeBytes = 4 * mib, { partitions = 1 } = {}): Buffer {
  const image = Buffer.alloc(sizeBytes);
  image.write("boot code", 0);
  for (let at = 446; at < 446 + partitions * 16; at += 16) {
    image.set([at === 446 ? 0x80 : 0, 0, 0, 0, 0x83, 0, 0, 0], at);
    image.writeUInt32LE(mib / sectorBytes, at + 8);
    image.writeUInt32LE((sizeBytes - mib) / sectorBytes, at + 12);
  }
  image.writeUInt16LE(0xaa55, 510);
  image.set(createNoise(sizeBytes - mib, "mbr"), mib);
  return image;
}

/** Creates bytes that do not compress and are the same for the same seed. */
export function createNoise(bytes: number, seed: string): Buffer {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

/** Returns the digest of a request for these bytes. */
export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
