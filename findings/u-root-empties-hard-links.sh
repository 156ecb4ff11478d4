#!/usr/bin/env bash
# Shows that u-root's cpio unpacks all but the last name of a file with several as an empty file, /init among them.
#
#   findings/u-root-empties-hard-links.sh [VERSION]    tries this version of u-root; default: v0.16.0
#
# Subject: the Go module github.com/u-root/u-root v0.16.0, its command cpio and its package pkg/cpio, with an initial
# RAM disk that GNU cpio 2.13 (Debian 12) wrote in the format "newc".
#
# What one would guess: names that are hard links of one file all have its content. In this format the content may stand
# with any of them, and the others have the size 0: "this allows the data-carrying instance of a file to occur anywhere
# in the sequence (GNU cpio is reported to attach the data to the last instance of a file only)" (Linux,
# Documentation/driver-api/early-userspace/buffer-format.rst). Linux and GNU cpio link the names.
#
# What happens: the command takes a name of size 0 for a link to the first name with that inode number, since "the file
# with content always comes first" (a comment in cmds/core/cpio/cpio.go). With GNU cpio it comes last: the first name
# becomes an empty file, those between are links to that one, and the last becomes a file of its own. The package's
# CreateFileInRoot knows no links, and makes each name a file. The status is 0, and no error is returned.
#
# Seen on 2026-11-30, with one busybox of 15 bytes under three names, and one other file:
#   u-root's cpio i       init 0, busybox 0, sh 15, hostname 6; exit 0
#   CreateFileInRoot      init 0, busybox 0, sh 15, hostname 6; error <nil>
#   GNU cpio -i           init 15, busybox 15, sh 15, hostname 6
# What u-root's "cpio o" writes has the content first, and GNU cpio unpacks that rightly.
#
# Why it matters: dracut links equal files by hardlink, busybox is often installed by hard links, and all that is packed
# by "find | cpio -o -H newc". Who unpacks such a RAM disk by u-root to add a file, and packs it again, gets one that
# panics on an empty /init, or one in which some library is empty. Its own archives, as in its tests, come back whole.
# tools/netboot/cpio.ts writes each file with one name.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.16.0}
command -v cpio > /dev/null || { echo "could not be tried: no cpio" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
// Unpacks the archive of the first argument into the folder of the second one.
package main

import (
	"fmt"
	"os"

	"github.com/u-root/u-root/pkg/cpio"
)

func main() {
	archive, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Print(cpio.ForEachRecord(cpio.Newc.Reader(archive), func(record cpio.Record) error {
		return cpio.CreateFileInRoot(record, os.Args[2], false)
	}))
}
GO
{
  go mod init finding && go get "github.com/u-root/u-root@$version" &&
    go build -o unpack . && go build -o u-root-cpio github.com/u-root/u-root/cmds/core/cpio
} > go.log 2>&1 || { cat go.log >&2; exit 2; }

mkdir tree by-command by-package by-gnu
printf 'busybox binary\n' > tree/init
ln tree/init tree/busybox
ln tree/init tree/sh
printf 'node7\n' > tree/hostname
(cd tree && printf '%s\n' init busybox sh hostname | cpio --quiet -o -H newc) > ramdisk.cpio

describe() {
  local name result=
  for name in init busybox sh hostname; do
    result+="${result:+, }$name $(stat --format %s "$1/$name" 2> /dev/null || echo missing)"
  done
  echo "$result"
}

status=0
(cd by-command && ../u-root-cpio i < ../ramdisk.cpio) || status=$?
error=$(./unpack ramdisk.cpio by-package)
(cd by-gnu && cpio --quiet -i < ../ramdisk.cpio)
seen="u-root's cpio i       $(describe by-command); exit $status
CreateFileInRoot      $(describe by-package); error $error
GNU cpio -i           $(describe by-gnu)"
echo "$seen"
if [[ $seen != "u-root's cpio i       init 0, busybox 0, sh 15, hostname 6; exit 0
CreateFileInRoot      init 0, busybox 0, sh 15, hostname 6; error <nil>
GNU cpio -i           init 15, busybox 15, sh 15, hostname 6" ]]; then
  echo "this has changed"
  exit 1
fi
echo "as found"
