#!/usr/bin/env bash
# Shows that go-ext4-filesystem reads zeros where an ext4 file has 32768 blocks in one piece, 128 MiB by default.
#
#   findings/longest-extents-read-zeros.sh [VERSION]
#
# Tries this version of the package; default: v0.0.0-20260423010602-fe51f5b5e52b.
#
# Subject: the Go package github.com/masahiro331/go-ext4-filesystem/ext4 of April 2026, by which scanners read disks of
# machines. The file system is made by mke2fs and debugfs of e2fsprogs 1.47.0 (Debian 12).
#
# What one would guess: what debugfs reads, the package reads. An extent's length of at most 32768 is that of written
# blocks; above that the blocks are only reserved, and there are length - 32768 of them. So 32768 is the longest extent
# of written blocks (Linux, Documentation/filesystems/ext4/ifork.rst). Linux makes such extents for large files.
#
# What happens: IsUninitialized asks for bit 15, which 32768 has as well. So the longest extent counts as reserved, and
# GetLen, which masks that bit, says 0. File.Read fills the place with zeros. The size is right, no error is returned.
#
# Seen on 2026-11-30, with two files of 40 MiB in two extents each, and blocks of 1024 bytes:
#   e2fsck -fn: clean
#   short.raw, extents of 32767 and 8193:   by the package 41943040 F   by debugfs 41943040 F
#   long.raw, extents of 32768 and 8192:    by the package 33554432 zeros, 8388608 F   by debugfs 41943040 F
#
# Why it matters: images of disks, databases, and RAM disks with firmware are larger than 128 MiB and lie in one piece
# on a disk with room. A scanner finds nothing in them, and a tool that copies them out of an image writes a copy with
# the right size and no content. It is worse the less a disk is fragmented, and small test images have no such extent;
# mke2fs -d does not make one either, its longest has 32767 blocks. debugfs reads them right. bmaas writes images by
# their bytes, and reads no ext4.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.0.0-20260423010602-fe51f5b5e52b}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod PATH="$PATH:/usr/sbin:/sbin"

cat > main.go <<'GO'
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/masahiro331/go-ext4-filesystem/ext4"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// describe counts runs of one byte.
func describe(content []byte) string {
	var runs []string
	for start, at := 0, 1; at <= len(content); at++ {
		if at < len(content) && content[at] == content[start] {
			continue
		}
		name := "zeros"
		if content[start] != 0 {
			name = string(content[start])
		}
		runs = append(runs, fmt.Sprintf("%d %s", at-start, name))
		start = at
	}
	return strings.Join(runs, ", ")
}

func main() {
	image, err := os.Open("image")
	must(err)
	info, err := image.Stat()
	must(err)
	files, err := ext4.NewFS(*io.NewSectionReader(image, 0, info.Size()), nil)
	must(err)
	isAsFound := true
	for _, each := range []struct{ name, extents, expected string }{
		{"short", "32767 and 8193", "41943040 F"},
		{"long", "32768 and 8192", "33554432 zeros, 8388608 F"},
	} {
		file, err := files.Open(each.name + ".raw")
		must(err)
		content, err := io.ReadAll(file)
		must(err)
		byDebugfs, err := os.ReadFile(each.name + ".read")
		must(err)
		label := fmt.Sprintf("%s.raw, extents of %s:", each.name, each.extents)
		fmt.Printf("%-39s by the package %s   by debugfs %s\n", label, describe(content), describe(byDebugfs))
		isAsFound = isAsFound && describe(content) == each.expected && describe(byDebugfs) == "41943040 F"
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/masahiro331/go-ext4-filesystem@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
fail() { echo "could not be tried: $1" >&2; exit 2; }

mkdir root
head -c 41943040 /dev/zero | tr '\0' F | tee root/short.raw > root/long.raw
truncate -s 512M image
mke2fs -q -F -t ext4 -b 1024 -O ^has_journal,^resize_inode,sparse_super2 -E num_backup_sb=0 -d root image ||
  fail "mke2fs"
ask() { debugfs "$@" image 2> /dev/null; }
[ "$(ask -R "ex /long.raw" | awk '{ print $NF }' | grep -cx -e 32767 -e 8193)" = 2 ] ||
  fail "long.raw has other extents"

# The second extent's first block goes to the first extent (struct ext4_extent: block, length, start).
read -r start < <(ask -R "ex /long.raw" | awk '$NF == 8193 { print $(NF - 3) }')
for change in "block[4] 32768" "block[6] 32768" "block[7] 8192" "block[8] $((start + 1))"; do
  echo "set_inode_field /long.raw $change"
done > changes
ask -w -f changes > debugfs.log
[ "$(ask -R "ex /long.raw" | awk '{ print $NF }' | grep -cx -e 32768 -e 8192)" = 2 ] || fail "debugfs"
e2fsck -fn image > e2fsck.log 2>&1 || { cat e2fsck.log >&2; fail "the file system is not valid"; }
echo "e2fsck -fn: clean"
for name in short long; do ask -R "dump /$name.raw $name.read"; done
./finding
