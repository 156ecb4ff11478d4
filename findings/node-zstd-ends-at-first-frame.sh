#!/usr/bin/env bash
# Shows that Node's zstd, and with it fetch, silently ends at the end of the first frame, as some npm packages do.
#
#   findings/node-zstd-ends-at-first-frame.sh [VERSION]    tries this version of Node; default: 24.21.0
#
# Subject: node:zlib and fetch (undici 7.29.1) of Node 24.21.0; lz4-napi 2.10.0, lz4js 0.2.0 and fflate 0.8.3.
#
# What one would guess: a file may have several frames, and its content is theirs joined (RFC 8878 section 3.1 for zstd,
# which includes skippable frames without content; "Frame Concatenation" in the LZ4 frame format; RFC 1952 section 2.2
# for gzip's members). `cat a.zst b.zst`, appending and compressors that work in parallel make such files. The tools
# zstd, lz4 and gzip read all of it, and so does Node's gunzip. A decompressor that stops early throws.
#
# What happens: ZSTD_decompressStream returns at the end of each frame. Node calls it once for a piece of input, and
# takes input that is left for data behind the end (processCallback in lib/zlib.js): it ends the stream, unless the
# piece happens to end with the frame. pzstd begins with a skippable frame, so its files are empty. pipeline() reports
# an error if another piece follows; zstdDecompressSync and fetch, which decodes zstd though it does not ask for it by
# itself, do not. nodejs/node issue 64741 has it open. lz4-napi and lz4js return after the end mark of a frame.
# fflate's gunzipSync, unlike its Gunzip, takes the size of the result from the end of the file, which tells that of
# the last member: 0 for bgzip, whose files end with an empty one. It throws only where a first member with stored
# blocks is larger.
#
# Seen on 2026-11-30, of 400000 bytes in two frames or members of the same size:
#   zlib.gunzipSync              400000
#   zlib.zstdDecompressSync      200000, pzstd: 0
#   createZstdDecompress         200000, cut between the frames: 400000
#   fetch, gzip                  400000
#   fetch, zstd                  200000, pzstd: 0
#   fzstd.decompress             400000, pzstd: 400000
#   lz4Napi.decompressFrameSync  200000
#   lz4js.decompress             200000
#   fflate.Gunzip                400000
#   fflate.gunzipSync            200000, and an empty member: 0
#
# Why it matters: an installer writes the first part of an image, or nothing, and reports success; which part it is
# depends on where the network cuts the data. `zstd` makes one frame of a file, so tests pass until someone compresses
# by pzstd. src/agent/image/zstd-frames.ts gives each frame to Node by itself, and refuses what is no frame.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-24.21.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --no-audit --no-fund --loglevel=error "node@$version" fzstd@0.1.1 lz4-napi@2.10.0 lz4js@0.2.0 fflate@0.8.3 \
  > npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat > try.js <<'JS'
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { createZstdDecompress, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import * as fflate from "fflate";
import * as fzstd from "fzstd";
import lz4js from "lz4js";
import lz4Napi from "lz4-napi";

setTimeout(() => {
  console.error("could not be tried: no result within 60 s");
  process.exit(2);
}, 60_000).unref();

const halves = [0, 1].map(() => Buffer.from(randomBytes(100_000).toString("hex")));
const whole = Buffer.concat(halves);

/** Returns the size of what is the beginning of the content, and throws if it is something else. */
function measure(result) {
  const bytes = Buffer.from(result);
  if (!bytes.equals(whole.subarray(0, bytes.length))) throw new Error("the content is wrong");
  return bytes.length;
}

/** Puts a skippable frame with the size of the next frame before it, as pzstd does. */
function announce(frame) {
  const skippable = Buffer.alloc(12);
  for (const [at, value] of [0x184d2a50, 4, frame.length].entries()) skippable.writeUInt32LE(value, at * 4);
  return Buffer.concat([skippable, frame]);
}

const zstdFrames = halves.map((half) => zstdCompressSync(half));
const zstd = Buffer.concat(zstdFrames);
const pzstd = Buffer.concat(zstdFrames.map(announce));
const gzip = Buffer.concat(halves.map((half) => gzipSync(half)));
const lz4 = Buffer.concat(halves.map((half) => lz4Napi.compressFrameSync(half)));

const unpackStream = async (pieces) => measure(await buffer(Readable.from(pieces).compose(createZstdDecompress())));

async function fetchPacked(encoding, body) {
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-encoding": encoding, "content-length": body.length }).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/`;
  const response = await fetch(url, { headers: { "accept-encoding": encoding } });
  const size = measure(await response.arrayBuffer());
  server.close();
  return size;
}

function gunzipByStream(bytes) {
  const pieces = [];
  new fflate.Gunzip((piece) => pieces.push(piece)).push(bytes, true);
  return Buffer.concat(pieces);
}

const withEmptyMember = Buffer.concat([gzip, gzipSync("")]);
const seen = [
  `zlib.gunzipSync              ${measure(gunzipSync(gzip))}`,
  `zlib.zstdDecompressSync      ${measure(zstdDecompressSync(zstd))}, pzstd: ${measure(zstdDecompressSync(pzstd))}`,
  `createZstdDecompress         ${await unpackStream([zstd])}, ` +
    `cut between the frames: ${await unpackStream(zstdFrames)}`,
  `fetch, gzip                  ${await fetchPacked("gzip", gzip)}`,
  `fetch, zstd                  ${await fetchPacked("zstd", zstd)}, pzstd: ${await fetchPacked("zstd", pzstd)}`,
  `fzstd.decompress             ${measure(fzstd.decompress(zstd))}, pzstd: ${measure(fzstd.decompress(pzstd))}`,
  `lz4Napi.decompressFrameSync  ${measure(lz4Napi.decompressFrameSync(lz4))}`,
  `lz4js.decompress             ${measure(lz4js.decompress(lz4))}`,
  `fflate.Gunzip                ${measure(gunzipByStream(gzip))}`,
  `fflate.gunzipSync            ${measure(fflate.gunzipSync(gzip))}, ` +
    `and an empty member: ${measure(fflate.gunzipSync(withEmptyMember))}`,
];
console.log(seen.join("\n"));
const found = [
  "zlib.gunzipSync              400000",
  "zlib.zstdDecompressSync      200000, pzstd: 0",
  "createZstdDecompress         200000, cut between the frames: 400000",
  "fetch, gzip                  400000",
  "fetch, zstd                  200000, pzstd: 0",
  "fzstd.decompress             400000, pzstd: 400000",
  "lz4Napi.decompressFrameSync  200000",
  "lz4js.decompress             200000",
  "fflate.Gunzip                400000",
  "fflate.gunzipSync            200000, and an empty member: 0",
];
const isAsFound = seen.join() === found.join();
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node_modules/.bin/node try.js
