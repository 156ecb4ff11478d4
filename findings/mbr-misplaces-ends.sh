#!/usr/bin/env bash
# Shows that the npm package mbr takes the bytes of a cylinder, head and sector in the wrong order, in reading and in
# writing, and calls the sector behind a partition its last one.
#
#   findings/mbr-misplaces-ends.sh [VERSION]    tries this version of mbr; default: 1.1.3
#
# Subject: the npm package mbr 1.1.3, with chs 1.1.0, on an image that sfdisk of util-linux 2.38.1 (Debian 12) made, and
# with sfdisk as the reader of what the package wrote.
#
# What one would guess: `firstCHS` and `lastCHS` are the addresses that other programs show, and `lastLBA` is the last
# sector of the partition, as the property of this name of the npm package gpt is.
#
# What happens: a partition's entry has the head in the first of three bytes, the sector and the two high bits of the
# cylinder in the second, and the rest of the cylinder in the third one. The package reads and writes them as one number
# whose low 6 bits, in the first byte, are the sector, and whose third byte is the head. What it has read it writes back
# as it was, so that a test that compares both sees nothing. `lastLBA` is first sector plus number of sectors.
#
# Seen on 2026-12-01, for a partition of 1 MiB at sector 2048 and one behind it:
#   1, by sfdisk                 start 0/32/33     end 0/65/1      sectors 2048 to 4095
#   1, by mbr                    start 132/0/32    end 5/0/1       sectors 2048 to 4096
#   2, by mbr                    start 9/0/1       end 133/0/33    sectors 4096 to 6144
#   set to 0/32/33 by mbr, by sfdisk                               start 32/33/0
#
# Why it matters: a boot loader of a BIOS that goes by cylinders reads other sectors than those of the system, and
# partitions that only touch seem to overlap by a sector: who copies or wipes from firstLBA to lastLBA takes the first
# sector of the next one too, which is its boot sector or LUKS header. Use firstLBA + sectors - 1. bmaas leaves
# partitioning to the installers.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-1.1.3}
command -v sfdisk > /dev/null || { echo "could not be tried: no sfdisk" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const MBR = require("mbr");

const columns = "Start-C/H/S,End-C/H/S,Start,End";

/** The partitions of an image as sfdisk shows them: start and end by cylinder, head and sector, and by sectors. */
function readBySfdisk(image) {
  const output = execFileSync("sfdisk", ["--list", "--output", columns, image], { encoding: "utf8" });
  return output
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([start]) => /^\d+\/\d+\/\d+$/.test(start));
}

const show = ({ cylinder, head, sector }) => `${cylinder}/${head}/${sector}`;

const describe = (name, start, end, first, last) =>
  `${name.padEnd(28)} ${`start ${start}`.padEnd(17)} ${`end ${end}`.padEnd(15)} sectors ${first} to ${last}`;

const describePartition = (name, { firstCHS, lastCHS, firstLBA, lastLBA }) =>
  describe(name, show(firstCHS), show(lastCHS), firstLBA, lastLBA);

function main() {
  const { partitions } = MBR.parse(fs.readFileSync("image").subarray(0, 512));
  const seen = [
    describe("1, by sfdisk", ...readBySfdisk("image")[0]),
    describePartition("1, by mbr", partitions[0]),
    describePartition("2, by mbr", partitions[1]),
  ];

  const changed = MBR.parse(fs.readFileSync("image").subarray(0, 512));
  Object.assign(changed.partitions[0].firstCHS, { cylinder: 0, head: 32, sector: 33 });
  const image = fs.readFileSync("image");
  changed.buffer.copy(image);
  fs.writeFileSync("changed", image);
  seen.push(`${"set to 0/32/33 by mbr, by sfdisk".padEnd(62)} start ${readBySfdisk("changed")[0][0]}`);

  console.log(seen.join("\n"));
  const found = [
    "1, by sfdisk                 start 0/32/33     end 0/65/1      sectors 2048 to 4095",
    "1, by mbr                    start 132/0/32    end 5/0/1       sectors 2048 to 4096",
    "2, by mbr                    start 9/0/1       end 133/0/33    sectors 4096 to 6144",
    "set to 0/32/33 by mbr, by sfdisk                               start 32/33/0",
  ];
  const isAsFound = seen.join("\n") === found.join("\n");
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
}

try {
  main();
} catch (error) {
  console.error("could not be tried:", error);
  process.exit(2);
}
JS
{ npm init --yes && npm install --no-audit --no-fund "mbr@$version" chs@1.1.0; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
truncate -s 16M image
printf 'label: dos\nstart=2048, size=2048, type=83\nstart=4096, size=2048, type=83\n' |
  sfdisk --quiet image > sfdisk.log 2>&1 || { cat sfdisk.log >&2; exit 2; }
timeout 60 node --no-deprecation main.js || exit $(( $? == 124 ? 2 : $? ))
