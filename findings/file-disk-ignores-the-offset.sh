#!/usr/bin/env bash
# Shows that file-disk puts what it reads at the beginning of the buffer, over what is there, wherever the caller wants
# it, and says that it has read what lies behind the end of the image.
#
#   findings/file-disk-ignores-the-offset.sh [VERSION]    tries this version of file-disk; default: 8.0.1
#
# Subject: the npm package file-disk 8.0.1 of Balena, FileDisk.read(), by which their tools for images read partitions,
# file systems and partition tables. Writing is as one would guess.
#
# What one would guess: read(buffer, bufferOffset, length, fileOffset) puts the bytes at bufferOffset, as the README's
# signature and Node's fs.read() have it, by which the class reads, and `bytesRead` is how many there were: less than
# length at the end of the image.
#
# What happens: Disk.read() names its second parameter _bufferOffset and never looks at it. It fills the buffer from 0,
# first with what has been recorded or discarded, then from the file. What the file's read() returns is thrown away, and
# the length that was asked for is returned instead.
#
# Seen on 2026-12-01, with an image of the 10 bytes "0123456789", and a buffer of 8 dots:
#   read 4 from 0 to offset 0    "0123...."   bytesRead 4    fs.read: "0123...."   bytesRead 4
#   read 4 from 4 to offset 4    "4567...."   bytesRead 4    fs.read: "....4567"   bytesRead 4
#   both, into one buffer        "4567...."   bytesRead 4    fs.read: "01234567"   bytesRead 4
#   read 8 from 6 to offset 0    "6789...."   bytesRead 8    fs.read: "6789...."   bytesRead 4
#
# Why it matters: who gathers a block from two reads writes its second half, and then what has been in memory, to the
# disk of a machine, without an error, and a sum over it is computed from the same bytes. With the offset 0, which all
# examples have, and inside of the image it never happens. Read into buffer.subarray(offset, offset + length) instead,
# and compare with getCapacity(). bmaas does not use it.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-8.0.1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const fs = require("node:fs").promises;
const { FileDisk } = require("file-disk");

/** Reads by several calls into one buffer, and describes it and what the last call returned. */
async function readInto(file, calls) {
  const buffer = Buffer.alloc(8, ".");
  let bytesRead = 0;
  for (const [bufferOffset, length, fileOffset] of calls) {
    ({ bytesRead } = await file.read(buffer, bufferOffset, length, fileOffset));
  }
  return `"${buffer}"   bytesRead ${bytesRead}`;
}

async function main() {
  await fs.writeFile("image", "0123456789");
  const handle = await fs.open("image", "r");
  const disk = new FileDisk(handle);
  const seen = [];
  for (const [name, calls] of [
    ["read 4 from 0 to offset 0", [[0, 4, 0]]],
    ["read 4 from 4 to offset 4", [[4, 4, 4]]],
    [
      "both, into one buffer",
      [
        [0, 4, 0],
        [4, 4, 4],
      ],
    ],
    ["read 8 from 6 to offset 0", [[0, 8, 6]]],
  ]) {
    seen.push(`${name.padEnd(28)} ${await readInto(disk, calls)}    fs.read: ${await readInto(handle, calls)}`);
  }
  await handle.close();
  console.log(seen.join("\n"));
  const found = [
    'read 4 from 0 to offset 0    "0123...."   bytesRead 4    fs.read: "0123...."   bytesRead 4',
    'read 4 from 4 to offset 4    "4567...."   bytesRead 4    fs.read: "....4567"   bytesRead 4',
    'both, into one buffer        "4567...."   bytesRead 4    fs.read: "01234567"   bytesRead 4',
    'read 8 from 6 to offset 0    "6789...."   bytesRead 8    fs.read: "6789...."   bytesRead 4',
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
{ npm init --yes && npm install --no-audit --no-fund "file-disk@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
