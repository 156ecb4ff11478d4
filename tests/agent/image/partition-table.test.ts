/** Partition tables of images on disks that are larger than they. */
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  addPartition,
  findFreeNumber,
  findPartitionTable,
  fitGpt,
  type PartitionTable,
} from "../../../src/agent/image/partition-table.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { createGptImage, createMbrImage, createNoise } from "./support/test-image.ts";

const mib = 1024 * 1024;

/** Puts an image onto a disk as the installer does, with another partition from `startBytes` on. */
function putOnto(diskBytes: number, image: Buffer, startBytes?: number): Buffer {
  const disk = Buffer.alloc(diskBytes);
  disk.set(image);
  const head = disk.subarray(0, mib);
  const table = findPartitionTable(head);
  if (table === undefined) throw new Error("no partition table");
  if (startBytes !== undefined) addSeed(head, table, startBytes);
  if (table.kind === "gpt") fitGpt(head, disk.subarray(-mib), { sectorBytes: table.sectorBytes, diskBytes });
  return disk;
}

/** Adds a partition of 4 MiB. Returns its number. */
function addSeed(head: Buffer, table: PartitionTable, startBytes: number): number {
  const number = findFreeNumber(head, table);
  const place = { number, startBytes, endBytes: startBytes + 4 * mib };
  addPartition(head, table, { ...place, name: "CIDATA", guid: Buffer.alloc(16, 7) });
  return number;
}

/** Reads a header where it should be, without the product's code, and checks its checksums. */
function readHeader(disk: Buffer, lba: number, sectorBytes: number) {
  const header = Buffer.from(disk.subarray(lba * sectorBytes, lba * sectorBytes + 92));
  const [checksum, entriesChecksum] = [header.readUInt32LE(16), header.readUInt32LE(88)];
  header.writeUInt32LE(0, 16);
  const entriesAt = Number(header.readBigUInt64LE(72)) * sectorBytes;
  return {
    signature: header.toString("latin1", 0, 8),
    isSound: crc32(header) === checksum && crc32(disk.subarray(entriesAt, entriesAt + 128 * 128)) === entriesChecksum,
    own: Number(header.readBigUInt64LE(24)),
    other: Number(header.readBigUInt64LE(32)),
    lastUsable: Number(header.readBigUInt64LE(48)),
    entriesAt,
  };
}

describe.each([512, 4096])("a GPT for sectors of %i bytes", (sectorBytes) => {
  const image = createGptImage({ tableSectorBytes: sectorBytes });

  test("is read", () => {
    expect(findPartitionTable(image.subarray(0, mib))).toMatchObject({
      kind: "gpt",
      sectorBytes,
      partitions: [
        { number: 1, startBytes: mib, endBytes: 2 * mib, type: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" },
        { number: 2, startBytes: 2 * mib, endBytes: 7 * mib, type: "0FC63DAF-8483-4772-8E79-3D69D8477DE4" },
      ],
    });
  });

  test("covers a larger disk, with its second copy at the end", () => {
    const disk = putOnto(24 * mib, image, 16 * mib);
    const last = disk.length / sectorBytes - 1;
    const entrySectors = (128 * 128) / sectorBytes;
    const common = { signature: "EFI PART", isSound: true, lastUsable: last - entrySectors - 1 };
    expect(readHeader(disk, 1, sectorBytes)).toEqual({ ...common, own: 1, other: last, entriesAt: 2 * sectorBytes });
    const second = { own: last, other: 1, entriesAt: (last - entrySectors) * sectorBytes };
    expect(readHeader(disk, last, sectorBytes)).toEqual({ ...common, ...second });
    expect(disk.readUInt32LE(458)).toBe(last);
    const entries = (at: number) => disk.subarray(at, at + 128 * 128);
    expect(entries(second.entriesAt).equals(entries(2 * sectorBytes))).toBe(true);
    expect(entries(2 * sectorBytes).toString("utf16le", 2 * 128 + 56, 2 * 128 + 68)).toBe("CIDATA");
  });

  test("of a disk of 2 TiB and more does not overflow the protective entry", () => {
    const [head, tail] = [Buffer.from(image.subarray(0, mib)), Buffer.alloc(mib)];
    fitGpt(head, tail, { sectorBytes, diskBytes: 2 ** 45 });
    expect(head.readUInt32LE(458)).toBe(0xffffffff);
    expect(findPartitionTable(head)?.partitions).toHaveLength(2);
  });

  test("keeps the numbers of partitions with unused entries between them", () => {
    const [head, tail] = [Buffer.from(image.subarray(0, mib)), Buffer.alloc(mib)];
    const entries = head.subarray(2 * sectorBytes, 2 * sectorBytes + 128 * 128);
    entries.copyWithin(14 * 128, 128, 2 * 128).fill(0, 128, 2 * 128);
    fitGpt(head, tail, { sectorBytes, diskBytes: 16 * mib });
    const moved = { number: 15, startBytes: 2 * mib, endBytes: 7 * mib };
    expect(findPartitionTable(head)?.partitions).toMatchObject([{ number: 1, startBytes: mib }, moved]);
    const copy = tail.subarray(-sectorBytes - entries.length, -sectorBytes);
    expect(copy.equals(entries)).toBe(true);
    const table = findPartitionTable(head);
    if (table === undefined) throw new Error("no partition table");
    expect(addSeed(head, table, 8 * mib)).toBe(16);
    expect(entries.subarray(128, 14 * 128).equals(Buffer.alloc(13 * 128))).toBe(true);
  });

  test("keeps entries further back, and a boot loader in their usual place", () => {
    const [head, tail] = [Buffer.from(image.subarray(0, mib)), Buffer.alloc(mib)];
    const entriesAt = mib / 4;
    head.copyWithin(entriesAt, 2 * sectorBytes, 2 * sectorBytes + 128 * 128);
    const loader = createNoise(128 * 128, "boot loader");
    head.set(loader, 2 * sectorBytes);
    const header = head.subarray(sectorBytes, sectorBytes + 92);
    header.writeBigUInt64LE(BigInt(entriesAt / sectorBytes), 72);
    header.writeUInt32LE(0, 16);
    header.writeUInt32LE(crc32(header), 16);
    const table = findPartitionTable(head);
    if (table === undefined) throw new Error("no partition table");
    addSeed(head, table, 8 * mib);
    fitGpt(head, tail, { sectorBytes, diskBytes: 16 * mib });
    expect(readHeader(head, 1, sectorBytes)).toMatchObject({ isSound: true, entriesAt });
    expect(head.subarray(2 * sectorBytes, 2 * sectorBytes + loader.length).equals(loader)).toBe(true);
    expect(findPartitionTable(head)?.partitions.map(({ number }) => number)).toEqual([1, 2, 3]);
    const copy = tail.subarray(-sectorBytes - 128 * 128, -sectorBytes);
    expect(copy.equals(head.subarray(entriesAt, entriesAt + 128 * 128))).toBe(true);
  });

  test("that ends within its header is refused", () => {
    const head = Buffer.from(image.subarray(0, sectorBytes + 20));
    expect(() => findPartitionTable(head)).toThrow(/^the image's GPT is damaged/);
  });

  test("that is damaged is refused", () => {
    const head = Buffer.from(image.subarray(0, mib));
    head.writeUInt8(1, 2 * sectorBytes + 40);
    expect(() => findPartitionTable(head)).toThrow("the image's GPT is damaged: its checksum is wrong");
    head.writeUInt32LE(0xffffffff, sectorBytes + 80);
    expect(() => findPartitionTable(head)).toThrow(/^the image's GPT is damaged/);
  });
});

const hasSgdisk = spawnSync("sgdisk", ["--version"]).status === 0;

test.runIf(hasSgdisk)("sgdisk finds nothing to complain about (skipped without it)", async () => {
  const file = join(await temporaryFolder(), "disk");
  await writeFile(file, putOnto(24 * mib, createGptImage(), 16 * mib));
  const { stdout } = spawnSync("sgdisk", ["--verify", "--print", file], { encoding: "utf8" });
  expect(stdout).toContain("No problems found");
  expect(stdout).toMatch(/^ +3 +32768 +40959 +4\.0 MiB +0700 +CIDATA$/m);
});

test("a boot sector that announces a GPT that is not there is refused", () => {
  const head = createGptImage().subarray(0, mib);
  head.fill(0, 512, 1024);
  expect(() => findPartitionTable(head)).toThrow("the image's boot sector announces a GPT, and the image has none");
});

describe("a master boot record", () => {
  test("gets another partition behind the last one", () => {
    const disk = putOnto(16 * mib, createMbrImage(), 8 * mib);
    expect(findPartitionTable(disk.subarray(0, mib))).toEqual({
      kind: "mbr",
      sectorBytes: 512,
      partitions: [
        { number: 1, startBytes: mib, endBytes: 4 * mib, type: "83" },
        { number: 2, startBytes: 8 * mib, endBytes: 12 * mib, type: "0E" },
      ],
    });
    expect(disk.subarray(0, 446).equals(createMbrImage().subarray(0, 446))).toBe(true);
  });

  test("whose four entries are used has no room", () => {
    expect(() => putOnto(16 * mib, createMbrImage(4 * mib, { partitions: 4 }), 8 * mib)).toThrow(
      "the image's partition table has no room for user data",
    );
  });

  test("is none where a file system's boot sector has code in its place", () => {
    const image = createMbrImage();
    image.write("no system disk, press any key", 440);
    expect(findPartitionTable(image.subarray(0, mib))).toBeUndefined();
  });
});
