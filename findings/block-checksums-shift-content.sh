#!/usr/bin/env bash
# Shows that lz4js returns other content, of the right length even, for LZ4 frames that have a checksum for each block.
#
#   findings/block-checksums-shift-content.sh [VERSION]    tries this version of lz4js; default: 0.2.0
#
# Subject: the npm package lz4js 0.2.0, compared with lz4-napi 2.10.0.
#
# What one would guess: who asks for more checksums is safer. "lz4 -BX" adds one to each block; in a frame it stands
# behind the block's data (LZ4 frame format 1.6.1, "Data Blocks"). A reader that does not compare checksums skips them.
#
# What happens: decompressFrame skips the four bytes before the data instead of the four behind it ("TODO: read block
# checksum"). It leaves out the first four bytes of each block, and takes its checksum for the last four. The next block
# is found at the right place again, so nothing fails. A block that did not compress comes back shifted, with the length
# that the frame announces. One that did is decoded from its fifth byte on. Neither checksum is compared, so no error is
# thrown.
#
# Seen on 2026-11-30, with frames that lz4 1.9.4 wrote with -BX:
#   a short one, content:      "serial=CZ3429ABCD\n" (18 bytes)
#     by lz4-napi:             "serial=CZ3429ABCD\n" (18 bytes)
#     by lz4js:                "al=CZ3429ABCD\n\xd0\x88\xc2\xc9" (18 bytes)
#   three paths, content:      132 bytes, "disk=/dev/disk/by-id/wwn-0x5"...
#     by lz4-napi:             132 bytes, "disk=/dev/disk/by-id/wwn-0x5"...
#     by lz4js:                156 bytes, "=/dev/\x00\x00\x00\x00=/dev/\x00\x00\x00\x00=/by-id/"...
#
# Why it matters: a browser or an agent that unpacks such a frame shows or writes something else, and a check of its
# length passes. The frames that lz4js writes, and those of lz4 without -BX, have no such checksums, so tests are green
# until somebody turns on more safety. bmaas refuses images in LZ4 by their first bytes
# (src/agent/image/image-format.ts).
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.2.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --no-audit --no-fund --loglevel=error "lz4js@$version" lz4-napi@2.10.0 > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }

cat > try.js <<'JS'
const lz4js = require("lz4js");
const { decompressFrameSync } = require("lz4-napi");

/** Frames by `lz4 -BX`, of which the first has its block as it was, and the second has it compressed. */
const frames = [
  ["a short one", "04224d187440bd1200008073657269616c3d435a33343239414243440ad088c2c900000000d088c2c9"],
  [
    "three paths",
    "04224d187440bd3e000000a06469736b3d2f6465762f0a00f00f2f62792d69642f77776e2d307835303030633530306131623263336434" +
      "2022000f2c00131f352c001550633364360a6dcad90f000000001f5003b5",
  ],
];
const contents = [
  "serial=CZ3429ABCD\n",
  `${[4, 5, 6].map((digit) => `disk=/dev/disk/by-id/wwn-0x5000c500a1b2c3d${digit}`).join(" ")}\n`,
];

function describe(bytes) {
  const printed = [...bytes.subarray(0, 28)].map((byte) => {
    if (byte === 10) return "\\n";
    return byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  });
  const text = `"${printed.join("")}"`;
  return bytes.length > 28 ? `${bytes.length} bytes, ${text}...` : `${text} (${bytes.length} bytes)`;
}

const seen = frames.flatMap(([name, hex], at) => {
  const frame = Buffer.from(hex, "hex");
  return [
    `${`${name}, content:`.padEnd(26)} ${describe(Buffer.from(contents[at]))}`,
    `  by lz4-napi:             ${describe(decompressFrameSync(frame))}`,
    `  by lz4js:                ${describe(Buffer.from(lz4js.decompress(frame)))}`,
  ];
});
console.log(seen.join("\n"));
const found = [
  String.raw`a short one, content:      "serial=CZ3429ABCD\n" (18 bytes)`,
  String.raw`  by lz4-napi:             "serial=CZ3429ABCD\n" (18 bytes)`,
  String.raw`  by lz4js:                "al=CZ3429ABCD\n\xd0\x88\xc2\xc9" (18 bytes)`,
  String.raw`three paths, content:      132 bytes, "disk=/dev/disk/by-id/wwn-0x5"...`,
  String.raw`  by lz4-napi:             132 bytes, "disk=/dev/disk/by-id/wwn-0x5"...`,
  String.raw`  by lz4js:                156 bytes, "=/dev/\x00\x00\x00\x00=/dev/\x00\x00\x00\x00=/by-id/"...`,
];
const isAsFound = seen.length === found.length && seen.every((line, at) => line === found[at]);
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node try.js
