#!/usr/bin/env bash
# Shows that intel-hex leaves out all records of a firmware image behind the one that reaches the end of its buffer.
#
#   findings/intel-hex-stops-at-the-top.sh [VERSION]    tries this version of intel-hex; default: 0.2.0
#
# Subject: the npm package intel-hex 0.2.0, parse(data, bufferSize), beside the npm package nrf-intel-hex 1.4.0. Images
# of embedded controllers, fan and power supply boards among them, come as such files.
#
# What one would guess: each data record says where its bytes belong, so their order in the file does not matter. The
# second argument is the size of the memory, and "the data exceeding the buffer size will be discarded" (README).
#
# What happens: the parser returns as soon as some record has reached bufferSize ("Safely abort if the buffer length is
# already sufficient"). What the file has behind that record is not read. Its place is FFh, which is what erased flash
# has, and the sums of all records that were read are right. No error is thrown, and the record "end of file" is not
# missed either. A file in ascending order is complete; one that begins with a vector or a check value at the top of the
# memory, or of which a tool has joined two (boot loader and application), is not.
#
# Seen on 2026-12-01, with 4 bytes at 1Ch, 4 at 00h and 4 at 04h, in this order, for a memory of 32 bytes:
#   top first, no size       0506070809101112ffffffffffffffffffffffffffffffffffffffff01020304
#   top first, size 32       ffffffffffffffffffffffffffffffffffffffffffffffffffffffff01020304
#   top last, size 32        0506070809101112ffffffffffffffffffffffffffffffffffffffff01020304
#   nrf-intel-hex            0506070809101112ffffffffffffffffffffffffffffffffffffffff01020304
#
# Why it matters: the image that is flashed and then verified against what the parser returned is an empty one with a
# right top: the board is dead after an update that succeeded. Without the second argument all records are read. bmaas
# writes no firmware.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.2.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { parse } = require("intel-hex");
const MemoryMap = require("nrf-intel-hex");

const size = 32;

/** A data record: length, address, type 0, data, and what makes the sum of all bytes 0. */
function createRecord(address, ...data) {
  const bytes = [data.length, address >> 8, address & 0xff, 0, ...data];
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  return `:${Buffer.from([...bytes, -sum & 0xff])
    .toString("hex")
    .toUpperCase()}`;
}

const createFile = (...records) => `${[...records, ":00000001FF"].join("\n")}\n`;

function main() {
  const top = createRecord(0x1c, 1, 2, 3, 4);
  const rest = [createRecord(0, 5, 6, 7, 8), createRecord(4, 9, 16, 17, 18)];
  const topFirst = createFile(top, ...rest);
  const topLast = createFile(...rest, top);
  const byOther = Buffer.from(MemoryMap.fromHex(topFirst).slicePad(0, size, 0xff));
  const seen = [
    ["top first, no size", parse(topFirst).data],
    ["top first, size 32", parse(topFirst, size).data],
    ["top last, size 32", parse(topLast, size).data],
    ["nrf-intel-hex", byOther],
  ].map(([name, data]) => `${name.padEnd(24)} ${data.toString("hex")}`);
  console.log(seen.join("\n"));
  const found = [
    "top first, no size       0506070809101112ffffffffffffffffffffffffffffffffffffffff01020304",
    "top first, size 32       ffffffffffffffffffffffffffffffffffffffffffffffffffffffff01020304",
    "top last, size 32        0506070809101112ffffffffffffffffffffffffffffffffffffffff01020304",
    "nrf-intel-hex            0506070809101112ffffffffffffffffffffffffffffffffffffffff01020304",
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
{ npm init --yes && npm install --no-audit --no-fund "intel-hex@$version" nrf-intel-hex@1.4.0; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
