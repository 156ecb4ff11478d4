#!/usr/bin/env bash
# Shows that go-diskfs reads other files and old data where an ext4 file has a hole, or space that was only reserved.
#
#   findings/go-diskfs-fills-holes.sh [VERSION]    tries this version of go-diskfs; default: v1.9.4
#
# Subject: the Go package github.com/diskfs/go-diskfs v1.9.4 of July 2026, filesystem/ext4. The file system is made by
# mke2fs and debugfs of e2fsprogs 1.47.0.
#
# What one would guess: a part of a file without blocks reads as zeros (a hole), and so do blocks that fallocate has
# reserved and nobody has written yet: the extent's length is then above 32768 (Linux,
# Documentation/filesystems/ext4/ifork.rst). debugfs reads zeros in both.
#
# What happens: File.Read takes the next extent at or behind the place, and computes where in it the place is. In a hole
# that is a negative number, so it reads the blocks of the disk before the extent, which are those of another file.
# parseExtents takes the length as it stands, 32784 for 16 reserved blocks, and Read returns what the disk had there
# before. The size is right, and no error is returned.
#
# Seen on 2026-11-30, with a hole of 60 kB in lastlog and 64 kB reserved for journal, on a disk that was full of X
# before mke2fs, and where the file before lastlog has only A:
#   e2fsck -fn: clean
#   lastlog    by go-diskfs: 61440 A, 4096 L   by debugfs: 61440 zeros, 4096 L
#   journal    by go-diskfs: 65536 X   by debugfs: 65536 zeros
#
# Why it matters: images of root file systems have both: /var/log/lastlog has a hole up to the first user, databases and
# journals reserve space. Whoever copies files out of an image, or compares them with a manifest, gets other content,
# and puts parts of other files and of what the disk held before into the copy. debugfs reads them right. bmaas writes
# images by their bytes, and reads no ext4.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.9.4}
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

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/ext4"
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
	for len(content) > 0 {
		length := len(content) - len(strings.TrimLeft(string(content), string(content[:1])))
		name := string(content[:1])
		if content[0] == 0 {
			name = "zeros"
		}
		runs = append(runs, fmt.Sprintf("%d %s", length, name))
		content = content[length:]
	}
	return strings.Join(runs, ", ")
}

func main() {
	image, err := os.Open("image")
	must(err)
	stat, err := image.Stat()
	must(err)
	files, err := ext4.Read(file.New(image, true), stat.Size(), 0, 512)
	must(err)
	isAsFound := true
	for _, each := range []struct{ name, found, right string }{
		{"lastlog", "61440 A, 4096 L", "61440 zeros, 4096 L"},
		{"journal", "65536 X", "65536 zeros"},
	} {
		opened, err := files.OpenFile("/"+each.name, os.O_RDONLY)
		must(err)
		content, err := io.ReadAll(opened)
		must(err)
		byDebugfs, err := os.ReadFile(each.name)
		must(err)
		fmt.Printf("%-10s by go-diskfs: %s   by debugfs: %s\n", each.name, describe(content), describe(byDebugfs))
		isAsFound = isAsFound && describe(content) == each.found && describe(byDebugfs) == each.right
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/diskfs/go-diskfs@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }

# Prints the letter $1 $2 times.
letters() { head -c "$2" /dev/zero | tr '\0' "$1"; }
{
  mkdir root
  letters A 262144 > root/before
  truncate --size 65536 root/lastlog
  letters L 4096 | dd of=root/lastlog bs=4096 seek=15 conv=notrunc status=none
  letters X 33554432 > image
  mke2fs -q -F -t ext4 -b 4096 -E nodiscard -d root image 32M
  : > empty
  for request in "write empty journal" "fallocate /journal 0 15" "sif /journal size 65536"; do
    debugfs -w -R "$request" image
  done
  for name in lastlog journal; do debugfs -R "dump /$name $name" image; done
} > e2fsprogs.log 2>&1 || { cat e2fsprogs.log >&2; exit 2; }
e2fsck -fn image > e2fsck.log 2>&1 || { cat e2fsck.log >&2; exit 2; }
echo "e2fsck -fn: clean"
./finding
