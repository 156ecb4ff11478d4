#!/usr/bin/env bash
# Shows that fatfs marks clusters as links to one that does not exist instead of as free, when a file is written anew.
#
#   findings/fatfs-frees-no-cluster.sh [VERSION]    tries this version of fatfs; default: 0.10.8
#
# Subject: the npm package fatfs 0.10.8 on file systems that mkfs.fat 4.2 made. mtools 4.0.32 reads what comes out.
#
# What one would guess: writeFile on a file that exists replaces it, and clusters that it needs no more are free, that
# is, 0 in the file allocation table (Microsoft FAT specification of 2005, section 4). The last one that is kept has an
# end mark. The README calls the package beta, and says that the second table and the FAT32 information sector are not
# kept up, which "do not seem to affect interop".
#
# What happens: storeToFAT adds the prefix of the table's type to the name's value, which is right for "eof" (FFh) and
# wrong for "free" (00h): it writes FF00h or 0FFFFF00h, a link to a cluster behind the end of the volume. Nor does
# shrinkChainToLength put an end mark into the cluster that it keeps, so the file goes on into them. writeFile cuts the
# file to nothing first, and so loses all clusters but one of what was there, each time. No error is given. For fatfs
# itself the files are right, since it stops at the file's size.
#
# Seen on 2026-11-30, with config.json of three clusters, then of 100 bytes, and a kernel of 12 MB that is replaced:
#   FAT16: config.json 3 > 4 > 5 > end, then 3 > 4 > FF00h; 3 clusters in use instead of 1, 2 links to nowhere
#   FAT16: mdir: Cluster # at 4 too big(0xff00) | Probably non MS-DOS disk
#   FAT32: config.json 4 > 5 > 6 > end, then 4 > 5 > FFFFF00h; 3 clusters in use instead of 1, 2 links to nowhere
#   FAT32: mdir: Cluster # at 5 too big(0xfffff00) | Probably non MS-DOS disk
#   FAT16: no space for the kernel's copy number 6 on 64 MB
# "fsck.fat -n" says of the second one "Cluster 3 out of range (268435200 > 129023). Setting to EOF."
#
# Why it matters: a boot or configuration partition in which one file of several clusters was replaced is refused by
# mtools as a whole, with all files on it, and fsck.fat changes it where it is checked before it is mounted. A partition
# that gets a new kernel with each update is full after some of them. It does not happen to files of one cluster, nor to
# new ones and those that only grow, so a small test passes. bmaas makes its FAT volume anew each time
# (src/agent/image/seed-volume.ts).
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.10.8}
for program in mkfs.fat mdir; do
  command -v $program > /dev/null || { echo "could not be tried: no $program (dosfstools, mtools)" >&2; exit 2; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { execFileSync, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const { promisify } = require("node:util");
const fatfs = require("fatfs");

const SECTOR_SIZE = 512;
const VOLUME_SIZE = 64 << 20;
const TYPES = {
  FAT16: { bits: 16, sectorsPerCluster: 4, endMark: 0xfff8 },
  FAT32: { bits: 32, sectorsPerCluster: 1, endMark: 0x0ffffff8 },
};

/** Makes a file system, and calls use with it. */
async function withVolume(path, { bits, sectorsPerCluster }, use) {
  fs.writeFileSync(path, "");
  fs.truncateSync(path, VOLUME_SIZE);
  execFileSync("mkfs.fat", ["-F", `${bits}`, "-s", `${sectorsPerCluster}`, "-n", "CONFIG", path]);
  const file = fs.openSync(path, "r+");
  const volume = fatfs.createFileSystem({
    sectorSize: SECTOR_SIZE,
    numSectors: VOLUME_SIZE / SECTOR_SIZE,
    readSectors(i, data, done) {
      fs.readSync(file, data, 0, data.length, i * SECTOR_SIZE);
      setImmediate(done, null, data);
    },
    writeSectors(i, data, done) {
      fs.writeSync(file, data, 0, data.length, i * SECTOR_SIZE);
      setImmediate(done, null);
    },
  });
  await new Promise((resolve, reject) => volume.on("ready", resolve).on("error", reject));
  try {
    return await use(promisify(volume.writeFile.bind(volume)));
  } finally {
    fs.closeSync(file);
  }
}

/** The entries of the first file allocation table that belong to clusters. */
function readTable(path, { bits, sectorsPerCluster }) {
  const disk = fs.readFileSync(path);
  const reserved = disk.readUInt16LE(14);
  const tableSectors = disk.readUInt16LE(22) || disk.readUInt32LE(36);
  const dataSector = reserved + disk[16] * tableSectors + (disk.readUInt16LE(17) * 32) / SECTOR_SIZE;
  const count = Math.floor((VOLUME_SIZE / SECTOR_SIZE - dataSector) / sectorsPerCluster) + 2;
  return Array.from({ length: count }, (_, i) =>
    bits === 16
      ? disk.readUInt16LE(reserved * SECTOR_SIZE + 2 * i)
      : disk.readUInt32LE(reserved * SECTOR_SIZE + 4 * i) & 0x0fffffff,
  );
}

function describeChain(table, first, { endMark }) {
  const links = [first];
  for (let next = table[first]; ; next = table[next]) {
    if (next >= endMark) {
      return [...links, "end"].join(" > ");
    }
    if (next >= table.length) {
      return [...links, `${next.toString(16).toUpperCase()}h`].join(" > ");
    }
    links.push(next);
  }
}

const countUsed = (table) => table.filter((entry) => entry !== 0).length;

async function describe(name) {
  const type = TYPES[name];
  const lines = [];
  await withVolume("disk", type, async (writeFile) => {
    await writeFile("first", Buffer.alloc(100));
    const empty = readTable("disk", type);
    const first = empty.indexOf(0);
    await writeFile("config.json", Buffer.alloc(type.sectorsPerCluster * SECTOR_SIZE * 3 - 144));
    const before = describeChain(readTable("disk", type), first, type);
    await writeFile("config.json", Buffer.alloc(100));
    const table = readTable("disk", type);
    const astray = table.filter((entry) => entry >= table.length && entry < type.endMark).length;
    lines.push(
      `config.json ${before}, then ${describeChain(table, first, type)}; ` +
        `${countUsed(table) - countUsed(empty)} clusters in use instead of 1, ${astray} links to nowhere`,
    );
  });
  const { stderr } = spawnSync("mdir", ["-i", "disk", "::"], { encoding: "utf8" });
  lines.push(`mdir: ${stderr.trim().split("\n").slice(0, 2).join(" | ")}`);

  return lines.map((line) => `${name}: ${line}`);
}

/** Replaces a kernel of 12 MB until there is no more space. */
async function countKernels() {
  return await withVolume("disk", TYPES.FAT16, async (writeFile) => {
    for (let copy = 1; copy < 100; copy++) {
      try {
        await writeFile("vmlinuz", Buffer.alloc(12 << 20, copy));
      } catch (error) {
        const reason = error.code === "NOSPC" ? "no space" : error.message;
        return `FAT16: ${reason} for the kernel's copy number ${copy} on 64 MB`;
      }
    }
    return "FAT16: space for 99 copies of the kernel";
  });
}

async function main() {
  const seen = [...(await describe("FAT16")), ...(await describe("FAT32")), await countKernels()];
  console.log(seen.join("\n"));
  const found = [
    "FAT16: config.json 3 > 4 > 5 > end, then 3 > 4 > FF00h; 3 clusters in use instead of 1, 2 links to nowhere",
    "FAT16: mdir: Cluster # at 4 too big(0xff00) | Probably non MS-DOS disk",
    "FAT32: config.json 4 > 5 > 6 > end, then 4 > 5 > FFFFF00h; 3 clusters in use instead of 1, 2 links to nowhere",
    "FAT32: mdir: Cluster # at 5 too big(0xfffff00) | Probably non MS-DOS disk",
    "FAT16: no space for the kernel's copy number 6 on 64 MB",
  ];
  const isAsFound = seen.join("\n") === found.join("\n");
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
}

process.exitCode = 2; // If it ends before its end.
main().catch((error) => {
  console.error("could not be tried:", error);
  process.exit(2);
});
JS
{ npm init --yes && npm install --no-audit --no-fund "fatfs@$version"; } > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
timeout 120 node main.js || exit $(( $? == 124 ? 2 : $? ))
