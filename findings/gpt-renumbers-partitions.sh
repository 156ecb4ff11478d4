#!/usr/bin/env bash
# Shows that gpt and partitioninfo number partitions anew, and that gpt calls a valid table with unused entries damaged.
#
#   findings/gpt-renumbers-partitions.sh [VERSION]    tries this version of gpt; default: 3.0.0
#
# Subject: the npm packages gpt 3.0.0, and partitioninfo 6.0.3 with gpt 2.0.4, by which etcher-sdk reads images.
#
# What one would guess: a partition's number is the place of its entry in the GPT, where others may be unused (UEFI
# specification 2.10 section 5.3.3). Linux counts so, and partitioninfo promises numbers "like Linux's /dev/sdaN". The
# cloud images of Debian and Ubuntu have the partitions 1, 14 (BIOS boot) and 15 (EFI system). A table that was read and
# written again is the same.
#
# What happens: gpt leaves out unused entries as it reads, and keeps no number with the others. verify() computes the
# checksum of the entries without the gaps, and calls the table damaged. write() puts the entries one behind the other,
# with checksums that are right. partitioninfo counts what gpt has left: it knows no 15, and calls that partition 3. It
# also finds tables of disks with sectors of 4096 bytes, and then multiplies their addresses by 512.
#
# Seen on 2026-11-30, and the same with a table written by sfdisk 2.38.1:
#   in the table:    1 root, 14 BIOS boot, 15 EFI system
#   gpt:             verify() without gaps: true, with gaps: false
#   gpt:             read and written again: 1 root, 2 BIOS boot, 3 EFI system
#   partitioninfo:   get(3): EFI system, get(15): Partition not found: 15.
#   partitioninfo:   the EFI system begins at 4194304, and with sectors of 4096 bytes at 524288
#
# Why it matters: an installer that checks images by verify() refuses Debian's; one that adapts their table to a larger
# disk makes 3 of 15, with right checksums, and whatever names /dev/sda15 finds nothing; one that patches "partition 15"
# cannot, or writes at an eighth of the address. src/agent/image/partition-table.ts keeps each entry at its place.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-3.0.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module", "overrides": { "partitioninfo": { "gpt": "2.0.4" } } }' > package.json
npm install --no-audit --no-fund --loglevel=error "gpt@$version" partitioninfo@6.0.3 > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }

cat > try.js <<'JS'
import { crc32 } from "node:zlib";
import GPT from "gpt";
import partitionInfo from "partitioninfo";

const names = {
  "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709": "root",
  "21686148-6449-6E6F-744E-656564454649": "BIOS boot",
  "C12A7328-F81F-11D2-BA4B-00A0C93EC93B": "EFI system",
};
const [root, biosBoot, efiSystem] = Object.keys(names);

function writeGuid(text) {
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex");
  for (const [from, to] of [[0, 4], [4, 6], [6, 8]]) bytes.subarray(from, to).reverse();
  return bytes;
}

/** Returns the beginning of a disk of 2 GiB: protective MBR, header and 128 entries (UEFI 2.10 sections 5.2.3, 5.3). */
function layOut(partitions, sectorBytes) {
  const head = Buffer.alloc(2 * sectorBytes + 16384);
  const lastLba = 2 ** 31 / sectorBytes - 1;
  const entrySectors = 16384 / sectorBytes;
  head.set([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff], 446);
  head.writeUInt32LE(1, 454);
  head.writeUInt32LE(lastLba, 458);
  head.set([0x55, 0xaa], 510);
  const entries = head.subarray(2 * sectorBytes);
  for (const { number, type, startBytes, endBytes } of partitions) {
    const entry = entries.subarray((number - 1) * 128, number * 128);
    entry.set(writeGuid(type), 0);
    entry.set(writeGuid(`00000000-0000-4000-8000-${String(number).padStart(12, "0")}`), 16);
    entry.writeBigUInt64LE(BigInt(startBytes / sectorBytes), 32);
    entry.writeBigUInt64LE(BigInt(endBytes / sectorBytes - 1), 40);
  }
  const header = head.subarray(sectorBytes, sectorBytes + 92);
  header.write("EFI PART", "latin1");
  header.writeUInt32LE(0x00010000, 8);
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(BigInt(lastLba), 32);
  header.writeBigUInt64LE(BigInt(2 + entrySectors), 40);
  header.writeBigUInt64LE(BigInt(lastLba - entrySectors - 1), 48);
  header.set(writeGuid("00000000-0000-4000-8000-00000000D15C"), 56);
  header.writeBigUInt64LE(2n, 72);
  header.writeUInt32LE(128, 80);
  header.writeUInt32LE(128, 84);
  header.writeUInt32LE(crc32(entries), 88);
  header.writeUInt32LE(crc32(header), 16);
  return head;
}

/** Returns the number and the kind of each entry in use, straight from the bytes. */
function listEntries(entries) {
  const found = [];
  for (let number = 1; number <= 128; number++) {
    const type = entries.subarray((number - 1) * 128, (number - 1) * 128 + 16);
    const kind = Object.keys(names).find((each) => writeGuid(each).equals(type));
    if (kind !== undefined) found.push(`${number} ${names[kind]}`);
  }
  return found.join(", ");
}

const mib = 2 ** 20;
const partitions = [
  { number: 1, type: root, startBytes: 128 * mib, endBytes: 2047 * mib },
  { number: 14, type: biosBoot, startBytes: mib, endBytes: 4 * mib },
  { number: 15, type: efiSystem, startBytes: 4 * mib, endBytes: 128 * mib },
];
const disk = layOut(partitions, 512);
const withoutGaps = layOut(partitions.map((each, at) => ({ ...each, number: at + 1 })), 512);
const verified = [withoutGaps, disk].map((each) => GPT.parse(each.subarray(512)).verify());
const writtenAgain = listEntries(GPT.parse(disk.subarray(512)).write().subarray(512));
const third = names[(await partitionInfo.get(disk, 3)).type];
const fifteenth = await partitionInfo.get(disk, 15).then(({ type }) => names[type], ({ message }) => message);
const starts = [];
for (const sectorBytes of [512, 4096]) {
  const read = await partitionInfo.getPartitions(layOut(partitions, sectorBytes));
  starts.push(Number(read.partitions.find(({ type }) => type === efiSystem)?.offset));
}

const seen = [
  `in the table:    ${listEntries(disk.subarray(1024))}`,
  `gpt:             verify() without gaps: ${verified[0]}, with gaps: ${verified[1]}`,
  `gpt:             read and written again: ${writtenAgain}`,
  `partitioninfo:   get(3): ${third}, get(15): ${fifteenth}`,
  `partitioninfo:   the EFI system begins at ${starts[0]}, and with sectors of 4096 bytes at ${starts[1]}`,
];
console.log(seen.join("\n"));
const isAsFound =
  verified.join() === "true,false" &&
  writtenAgain === "1 root, 2 BIOS boot, 3 EFI system" &&
  third === "EFI system" &&
  fifteenth === "Partition not found: 15." &&
  starts.join() === `${4 * mib},${(4 * mib) / 8}`;
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node try.js
