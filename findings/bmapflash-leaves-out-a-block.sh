#!/usr/bin/env bash
# Shows that bmapflash does not write the last block of some images, and says that it is done.
#
#   findings/bmapflash-leaves-out-a-block.sh [VERSION]    tries this version of bmapflash; default: 1.2.2
#
# Subject: the npm package bmapflash 1.2.2 of Balena, flashImageToFileDescriptor, which writes what a block map (.bmap)
# lists, and validateFlashedImage. All blocks are whole.
#
# What one would guess: after "done", "emitted when all the blocks have been written", all listed blocks are written.
# Which range a block belongs to, and how long that is, makes no difference.
#
# What happens: the blocks are gathered into chunks of at most 1 MiB. A chunk goes out when it is full, when a block
# follows that is not listed, or when the image's last block has been added to it. If that block begins a chunk, it is
# only stored, and nothing asks for it any more: that is so if the last range has one block, or one more than a multiple
# of 256 of 4096 bytes. What was on the disk there stays.
#
# Seen on 2026-12-01, with blocks of 4096 bytes on a disk full of old data, and what validateFlashedImage calls invalid:
#   blocks 0-3 and 18-19 of 20:   done, old data in no block       invalid: nothing
#   blocks 0-3 and 19 of 20:      done, old data in block 19       invalid: 19-19
#   blocks 0-511 of 512:          done, old data in no block       invalid: nothing
#   blocks 0-512 of 513:          done, old data in block 512      invalid: 0-512
#
# Why it matters: the last block of a disk's image has the backup GPT's header, and that of a squashfs or an archive has
# its end. Old data shows through there. It is always the same images that are hit, and few are: one of 256 where the
# end is full, and any that ends with a single block. It is seen by validateFlashedImage, which reads all again and is
# a call of its own. bmaas writes images by src/agent/image, without block maps.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-1.2.2}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-audit --no-fund --loglevel=error "bmapflash@$version" > npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat > try.cjs <<'JS'
const { createHash } = require("node:crypto");
const { once } = require("node:events");
const { closeSync, createReadStream, openSync, readFileSync, writeFileSync } = require("node:fs");
const bmapflash = require("bmapflash");

const blockBytes = 4096;
const slice = (bytes, from, to) => bytes.subarray(from * blockBytes, (to + 1) * blockBytes);

/** Returns the block map of the image, as bmaptool writes it. */
function listRanges(image, blocks, ranges) {
  const listed = ranges.map(([from, to]) => {
    const checksum = createHash("sha256").update(slice(image, from, to)).digest("hex");
    return `<Range chksum="${checksum}"> ${from === to ? from : `${from}-${to}`} </Range>`;
  });
  const mapped = ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  return `<?xml version="1.0" ?>
    <bmap version="2.0">
      <ImageSize> ${image.length} </ImageSize>
      <BlockSize> ${blockBytes} </BlockSize>
      <BlocksCount> ${blocks} </BlocksCount>
      <MappedBlocksCount> ${mapped} </MappedBlocksCount>
      <ChecksumType> sha256 </ChecksumType>
      <BlockMap> ${listed.join("\n")} </BlockMap>
    </bmap>`;
}

/** Writes an image with these ranges to a disk of old data, and says which blocks of them have old data then. */
async function flash(blocks, ranges) {
  const image = Buffer.alloc(blocks * blockBytes);
  for (const [from, to] of ranges) slice(image, from, to).fill("new");
  writeFileSync("image", image);
  writeFileSync("disk", Buffer.alloc(image.length, "old"));
  const map = listRanges(image, blocks, ranges);
  const disk = openSync("disk", "r+");
  await once(bmapflash.flashImageToFileDescriptor(createReadStream("image"), disk, map), "done");
  const [invalid] = await once(bmapflash.validateFlashedImage(disk, map), "done");
  closeSync(disk);
  const written = readFileSync("disk");
  const old = [];
  for (const [from, to] of ranges) {
    for (let at = from; at <= to; at++) if (!slice(written, at, at).equals(slice(image, at, at))) old.push(at);
  }
  const names = ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(" and ");
  const left = `old data in ${old.length === 0 ? "no block" : `block ${old.join(", ")}`}`;
  const toValidate = invalid.map(({ from, to }) => `${from}-${to}`).join(", ") || "nothing";
  return `${`blocks ${names} of ${blocks}:`.padEnd(29)} done, ${left.padEnd(24)}   invalid: ${toValidate}`;
}

async function main() {
  const seen = [];
  for (const [blocks, ranges] of [
    [20, [[0, 3], [18, 19]]],
    [20, [[0, 3], [19, 19]]],
    [512, [[0, 511]]],
    [513, [[0, 512]]],
  ]) {
    seen.push(await flash(blocks, ranges));
  }
  console.log(seen.join("\n"));
  const found = [
    "blocks 0-3 and 18-19 of 20:   done, old data in no block       invalid: nothing",
    "blocks 0-3 and 19 of 20:      done, old data in block 19       invalid: 19-19",
    "blocks 0-511 of 512:          done, old data in no block       invalid: nothing",
    "blocks 0-512 of 513:          done, old data in block 512      invalid: 0-512",
  ];
  const isAsFound = seen.join() === found.join();
  console.log(isAsFound ? "as found" : "this has changed");
  return isAsFound ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error) => {
    console.log("could not be tried:", error.message);
    process.exit(2);
  },
);
JS
node try.cjs
