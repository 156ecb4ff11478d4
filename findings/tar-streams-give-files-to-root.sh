#!/usr/bin/env bash
# Shows that tar-stream, and tar-fs with it, and @remix-run/tar-parser give files of users with large numbers to root,
# and that the latter ends long names with a NUL byte.
#
#   findings/tar-streams-give-files-to-root.sh [VERSION]    tries this version of tar-stream; default: 3.2.2
#
# Subject: the npm packages tar-stream 3.2.2 and @remix-run/tar-parser 0.7.1, with archives by GNU tar 1.34 (Debian 12),
# beside the npm package tar 7.5.23.
#
# What one would guess: an entry has the owner and the name that its file had. The header's field for a user ends at
# 2097151. For a larger number GNU tar uses base 256 in its own format; in pax format, which it calls "posix" as well,
# it writes the record "uid=3000000" ahead of the entry, which stands for the header's field (pax(1) of POSIX, "pax
# Extended Header"). A long name comes ahead of the entry in both, in GNU's with a NUL byte at its end.
#
# What happens: of the records, tar-stream and tar-parser use path, linkpath and size alone. The header's field, in
# which GNU tar has left 0, is the owner. The records are in `header.pax`, and no error is thrown. tar-parser also
# leaves the NUL byte in the name.
#
# Seen on 2026-12-01, for a file of user and group 3000000, and for one with a name of 104 characters:
#   GNU, owner    tar-stream 3000000:3000000   tar-parser 3000000:3000000   tar 3000000:3000000
#   pax, owner    tar-stream 0:0               tar-parser 0:0               tar 3000000:3000000
#   GNU, name     tar-stream 104               tar-parser 105               tar 104
#   pax, name     tar-stream 104               tar-parser 104               tar 104
# tar-fs 3.1.3 reads by tar-stream. Run by root, it gave the file in pax format to root.
#
# Why it matters: users from a directory have large numbers, and so have those of a container whose numbers are moved
# up. In a root file system that is unpacked so their files are root's: services cannot write what is theirs, and after
# a repair by hand the next installation has it again. With small numbers, or in GNU's format, all is right. A name with
# a NUL is refused by Node's file functions. Take `header.pax?.uid` before `header.uid`. bmaas unpacks no archives.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-3.2.2}
command -v tar > /dev/null || { echo "could not be tried: no tar" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.mjs <<'JS'
import { readFileSync } from "node:fs";
import { parseTar } from "@remix-run/tar-parser";
import { list } from "tar";
import { extract } from "tar-stream";

const describe = (name, { uid, gid }) => ({ owner: `${uid}:${gid}`, name: `${name.length}` });

async function readByTarStream(file) {
  const entries = [];
  const extraction = extract();
  extraction.end(readFileSync(file));
  for await (const entry of extraction) {
    entries.push(describe(entry.header.name, entry.header));
    entry.resume();
  }
  return entries[0];
}

async function readByTarParser(file) {
  const entries = [];
  await parseTar(readFileSync(file), ({ header }) => entries.push(describe(header.name, header)));
  return entries[0];
}

async function readByTar(file) {
  const entries = [];
  await list({ file, onReadEntry: (entry) => entries.push(describe(entry.path, entry)) });
  return entries[0];
}

async function main() {
  const seen = [];
  for (const what of ["owner", "name"]) {
    for (const format of ["GNU", "pax"]) {
      const archive = `${format}-${what}.tar`;
      const [byTarStream, byTarParser, byTar] = [
        (await readByTarStream(archive))[what],
        (await readByTarParser(archive))[what],
        (await readByTar(archive))[what],
      ];
      const readers = `tar-stream ${byTarStream.padEnd(17)} tar-parser ${byTarParser.padEnd(17)} tar ${byTar}`;
      seen.push(`${`${format}, ${what}`.padEnd(13)} ${readers}`);
    }
  }
  console.log(seen.join("\n"));
  const found = [
    "GNU, owner    tar-stream 3000000:3000000   tar-parser 3000000:3000000   tar 3000000:3000000",
    "pax, owner    tar-stream 0:0               tar-parser 0:0               tar 3000000:3000000",
    "GNU, name     tar-stream 104               tar-parser 105               tar 104",
    "pax, name     tar-stream 104               tar-parser 104               tar 104",
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
  npm init --yes
  npm install --no-audit --no-fund "tar-stream@$version" @remix-run/tar-parser@0.7.1 tar@7.5.23
} > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
long=$(printf 'n%.0s' {1..100}).txt
echo hi > data
cp data "$long"
for format in GNU pax; do
  tar --format="${format,,}" --owner=user:3000000 --group=group:3000000 -cf $format-owner.tar data
  tar --format="${format,,}" -cf $format-name.tar "$long"
done
timeout 60 node main.mjs || exit $(( $? == 124 ? 2 : $? ))
