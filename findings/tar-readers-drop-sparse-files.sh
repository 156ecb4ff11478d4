#!/usr/bin/env bash
# Shows that the npm packages tar and tar-stream leave out, shorten or rename files that GNU tar stored with their
# holes.
#
#   findings/tar-readers-drop-sparse-files.sh [VERSION]    tries this version of tar; default: 7.5.23
#
# Subject: the npm packages tar 7.5.23 and tar-stream 3.2.2, with archives by GNU tar 1.34 (Debian 12).
#
# What one would guess: an archive comes out as it went in. "tar -S", or --sparse, stores no zeros for the holes of a
# file, which is how images of disks and /var/log/lastlog are packed. In GNU's own format such a file has the type "S"
# and a map of its parts in the header; in the pax format the map stands before the parts, and the real name and size in
# the extended header (GNU tar's manual, "Storing Sparse Files"). Go's archive/tar and libarchive read all of these. A
# reader that does not know a type is to take the file for an ordinary one (POSIX, pax, "ustar Interchange Format",
# typeflag), and to say so.
#
# What happens: tar knows the type "S" by name, and ignores it: no file, no error, no call of `onwarn`, and nothing with
# `strict`; the event `ignoredEntry` is all. tar-stream calls the type null, and has the parts one behind the other as
# the content. Of the pax format both know no more than POSIX: the file gets the name that GNU made up for such readers,
# and begins with the map, as text. The size is the one of the parts. Nothing fails.
#
# Seen on 2026-11-30, with a disk.img of 10 MiB that has "HEAD" at its beginning and "TAIL" at its end (the number in
# the made-up name, a process, is replaced by N):
#   gnu.tar   GNU tar:    disk.img, 10485760 bytes, "HEAD" to "TAIL"
#             tar:        nothing
#             tar-stream: disk.img, 1024 bytes, "HEAD" to "TAIL", type null
#   pax.tar   GNU tar:    disk.img, 10485760 bytes, "HEAD" to "TAIL"
#             tar:        GNUSparseFile.N/disk.img, 1536 bytes, "2\n0\n" to "TAIL"
#             tar-stream: ./GNUSparseFile.N/disk.img, 1536 bytes, "2\n0\n" to "TAIL", type file
#
# Why it matters: a tool that unpacks a machine's image by these packages writes no disk image, or one that is a few
# kilobytes long. By tar-stream it may even begin right: the partition table is in its place, a check of the first
# sector passes, and the rest of the disk keeps what it had. It depends on one letter in the command of whoever packed
# it. Count what comes out, refuse the type "S" and the key GNU.sparse.major, or run GNU tar. bmaas's images are no tar
# archives.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-7.5.23}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.mjs <<'JS'
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { buffer } from "node:stream/consumers";
import { extract as extractAll } from "tar";
import { extract } from "tar-stream";

function describe(name, content) {
  const [start, end] = [content.subarray(0, 4), content.subarray(-4)].map((part) => JSON.stringify(`${part}`));
  return `${name.replace(/\.\d+\//, ".N/")}, ${content.length} bytes, ${start} to ${end}`;
}

/** What a folder has after an archive has been unpacked into it. */
function describeFolder(folder) {
  const names = fs.readdirSync(folder, { recursive: true });
  const files = names.filter((name) => fs.statSync(`${folder}/${name}`).isFile());
  return files.map((name) => describe(name, fs.readFileSync(`${folder}/${name}`))).join("; ") || "nothing";
}

async function byTar(archive) {
  const folder = fs.mkdtempSync("by-tar-");
  const warnings = [];
  try {
    await extractAll({ file: archive, cwd: folder, strict: true, onwarn: (code) => warnings.push(code) });
  } catch (error) {
    warnings.push(error.message);
  }
  return [describeFolder(folder), ...warnings].join("; ");
}

async function byTarStream(archive) {
  const files = [];
  const entries = extract();
  fs.createReadStream(archive).pipe(entries);
  for await (const entry of entries) {
    files.push(`${describe(entry.header.name, await buffer(entry))}, type ${entry.header.type}`);
  }
  return files.join("; ");
}

function byGnuTar(archive) {
  const folder = fs.mkdtempSync("by-gnu-tar-");
  execFileSync("tar", ["-xf", archive, "-C", folder]);
  return describeFolder(folder);
}

async function main() {
  const seen = [];
  for (const archive of ["gnu.tar", "pax.tar"]) {
    seen.push(`${archive}   GNU tar:    ${byGnuTar(archive)}`);
    seen.push(`          tar:        ${await byTar(archive)}`);
    seen.push(`          tar-stream: ${await byTarStream(archive)}`);
  }
  console.log(seen.join("\n"));
  const found = [
    'gnu.tar   GNU tar:    disk.img, 10485760 bytes, "HEAD" to "TAIL"',
    "          tar:        nothing",
    '          tar-stream: disk.img, 1024 bytes, "HEAD" to "TAIL", type null',
    'pax.tar   GNU tar:    disk.img, 10485760 bytes, "HEAD" to "TAIL"',
    '          tar:        GNUSparseFile.N/disk.img, 1536 bytes, "2\\n0\\n" to "TAIL"',
    '          tar-stream: ./GNUSparseFile.N/disk.img, 1536 bytes, "2\\n0\\n" to "TAIL", type file',
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
{
  npm init --yes && npm install --no-audit --no-fund "tar@$version" tar-stream@3.2.2 &&
    truncate --size 10M disk.img && printf HEAD | dd of=disk.img conv=notrunc &&
    printf TAIL | dd of=disk.img conv=notrunc bs=4 seek=2621439 &&
    tar --create --sparse --hole-detection=raw --format=gnu --file=gnu.tar disk.img &&
    tar --create --sparse --hole-detection=raw --format=pax --file=pax.tar disk.img
} > install.log 2>&1 || { cat install.log >&2; exit 2; }
timeout 60 node main.mjs || exit $(( $? == 124 ? 2 : $? ))
