#!/usr/bin/env bash
# Shows that blockmap leaves out the end of an image whose size is no multiple of 4096, and the checksum for it.
#
#   findings/blockmap-drops-the-end.sh [VERSION]    tries this version of blockmap; default: 4.0.3
#
# Subject: the npm package blockmap 4.0.3 of Balena, FilterStream, which takes an image as a stream and passes on what a
# block map (.bmap) lists.
#
# What one would guess: all listed blocks come out, and each range's checksum is compared, since `verify` is true by
# default. The last block of an image may be shorter: "bmaptool create" counts a part of a block as a block, and
# "bmaptool copy" writes it (Filemap.py and BmapCopy.py, bmap-tools 3.6 of Debian 12). A disk image has whole sectors
# of 512 bytes, with the backup GPT in the last 33 of them (UEFI specification 2.10 section 5.3.1).
#
# What happens: a range's length is taken as the number of its blocks times 4096. _transformBlock keeps a piece that
# ends before the range does and amid a block, and waits for more. When the stream ends, _flush hands it what was kept,
# and it is kept once more: nobody looks at it again. The range is never complete, so its checksum is not compared,
# either. No error is emitted, and the stream ends well.
#
# Seen on 2026-11-30, with a first range A (blocks 0 to 3) and a last one Z that begins 32 kB before the end:
#   1081344 bytes, 264 blocks:   A 16384, Z 32768, 2 of 2 ranges verified, no error
#   1082880 bytes, 265 blocks:   A 16384, Z 0, 1 of 2 ranges verified, no error
# The second size is 3 sectors more. A map by "bmaptool create" of such an image led to the same, and "bmaptool copy"
# wrote all of it. ReadStream, the package's reader of files, ends with "Bytes read mismatch".
#
# Why it matters: the disk has what it had before where the backup GPT and the end of the last partition should be. It
# boots, as the first GPT is right, until a tool or the firmware looks at the second one. How much is missing depends
# on how the network cuts the data: the last piece and up to 64 kB before it, of what the last range has. wic and
# others make images whose size is any number of sectors. Compare rangesVerified with the number of ranges, or fill the
# image up to a multiple of 4096 before making the map. bmaas reads no block maps.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-4.0.3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { createHash } = require("node:crypto");
const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const { BlockMap, FilterStream } = require("blockmap");

const BLOCK_SIZE = 4096;
const PIECE_SIZE = 65536;
const FIRST_BLOCKS = 4;
const END_SIZE = 32768;

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** An image that begins with A, ends with Z, and has a hole between them. The last range begins at a block. */
function createImage(size) {
  const lastBlock = Math.ceil(size / BLOCK_SIZE) - 1;
  const rangeStart = Math.floor((size - END_SIZE) / BLOCK_SIZE);
  const image = Buffer.alloc(size);
  image.fill("A", 0, FIRST_BLOCKS * BLOCK_SIZE);
  image.fill("Z", size - END_SIZE);
  const range = (from, to) =>
    `<Range chksum="${sha256(image.subarray(from * BLOCK_SIZE, (to + 1) * BLOCK_SIZE))}"> ${from}-${to} </Range>`;
  const unsigned = `<?xml version="1.0" ?>
<bmap version="2.0">
  <ImageSize> ${size} </ImageSize>
  <BlockSize> ${BLOCK_SIZE} </BlockSize>
  <BlocksCount> ${lastBlock + 1} </BlocksCount>
  <MappedBlocksCount> ${FIRST_BLOCKS + lastBlock + 1 - rangeStart} </MappedBlocksCount>
  <ChecksumType> sha256 </ChecksumType>
  <BmapFileChecksum> ${"0".repeat(64)} </BmapFileChecksum>
  <BlockMap>
    ${range(0, FIRST_BLOCKS - 1)}
    ${range(rangeStart, lastBlock)}
  </BlockMap>
</bmap>
`;
  return { image, map: unsigned.replace("0".repeat(64), sha256(unsigned)) };
}

async function describe(size) {
  const { image, map } = createImage(size);
  const blockMap = BlockMap.parse(map);
  const filter = new FilterStream(blockMap);
  const disk = Buffer.alloc(size, "-");
  const pieces = Array.from({ length: Math.ceil(size / PIECE_SIZE) }, (_, i) =>
    image.subarray(i * PIECE_SIZE, (i + 1) * PIECE_SIZE),
  );
  let error;
  try {
    await pipeline(Readable.from(pieces, { objectMode: false }), filter, async (chunks) => {
      for await (const chunk of chunks) {
        chunk.buffer.copy(disk, chunk.position);
      }
    });
  } catch (thrown) {
    error = thrown;
  }
  const count = (letter) => disk.filter((byte) => byte === letter.charCodeAt(0)).length;
  return (
    `${size} bytes, ${blockMap.blocksCount} blocks:   A ${count("A")}, Z ${count("Z")}, ` +
    `${filter.rangesVerified} of ${blockMap.ranges.length} ranges verified, ${error ? error.message : "no error"}`
  );
}

async function main() {
  const seen = [await describe(264 * BLOCK_SIZE), await describe(264 * BLOCK_SIZE + 3 * 512)];
  console.log(seen.join("\n"));
  const found = [
    "1081344 bytes, 264 blocks:   A 16384, Z 32768, 2 of 2 ranges verified, no error",
    "1082880 bytes, 265 blocks:   A 16384, Z 0, 1 of 2 ranges verified, no error",
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
{ npm init --yes && npm install --no-audit --no-fund "blockmap@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
