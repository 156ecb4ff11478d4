#!/usr/bin/env bash
# Shows that go-xfs-filesystem reads zeros for every file of an XFS file system that mkfs.xfs 6.5 or later made.
#
#   findings/go-xfs-reads-zeros.sh [VERSION]
#
# Tries this version of the package; default: v0.0.0-20260422061116-d21e5e4481bb.
#
# Subject: the Go package github.com/masahiro331/go-xfs-filesystem of April 2026, for reading images. The file
# system is made by mkfs.xfs of xfsprogs 6.1.0 (Debian 12) with "-i nrext64=1", which is the default from xfsprogs 6.5.0
# on (its CHANGES: "mkfs: enable large extent counts by default").
#
# What one would guess: the files' content; or an error, as the superblock has a bit for this format in
# sb_features_incompat (0x20, XFS_SB_FEAT_INCOMPAT_NREXT64), of which the specification says that "the kernel cannot
# read or write this FS if it doesn't understand the flag". The package has that text with it, in docs/.
#
# What happens: with large extent counts the number of a file's extents is 64 bits wide and stands in the inode at byte
# 24, where there was padding; at byte 76, where it was, is now the number of the extents of the attributes (struct
# xfs_dinode in Linux, fs/xfs/libxfs/xfs_format.h). ParseInode reads byte 76 and gets 0. A file without extents is one
# hole, so Read gives zeros, as many as the file is long. Names, sizes, times and modes are right. The bit is read into
# FeaturesIncompat, and looked at nowhere. No error is returned; only a directory too large for its inode returns one.
#
# Seen on 2026-11-30, with /etc/os-release of 34 bytes and /etc/hosts of 6000 bytes:
#   -i nrext64=0   os-release "ID=debian\nVERSION_CODENAME=trixie\n", hosts 6000 bytes, 6000 of them H
#   -i nrext64=1   os-release 34 zeros, hosts 6000 bytes, 0 of them H
#   xfs_db, -i nrext64=1: os-release has 1 extent, and its block holds "ID=debian\nVERSION_CODENAME=trixie\n"
#
# Why it matters: Debian 13 and others have such a mkfs.xfs by now, and there are distributions that take XFS unless
# told otherwise. Who looks into an image before it goes to machines then finds all files and nothing in them: which
# release it is, its packages, its network configuration. Who copies files out of it copies zeros. An image of some
# years ago is read right, and so is the test that has it. Ask for FeaturesIncompat & 0x20 of the superblock first.
# bmaas writes images by their bytes.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.0.0-20260422061116-d21e5e4481bb}
for program in mkfs.xfs xfs_db; do
  command -v $program > /dev/null || { echo "could not be tried: no $program (xfsprogs)" >&2; exit 2; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

printf 'ID=debian\nVERSION_CODENAME=trixie\n' > os-release
head -c 6000 /dev/zero | tr '\0' H > hosts
cat > files <<'PROTO'
/boot
0 0
d--755 0 0
etc d--755 0 0
os-release ---644 0 0 os-release
hosts ---644 0 0 hosts
$
$
PROTO
for value in 0 1; do
  truncate --size 320M "$value.img"
  mkfs.xfs -q -i "nrext64=$value" -p files "$value.img" || { echo "could not be tried: mkfs.xfs" >&2; exit 2; }
done

cat > main.go <<'GO'
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/masahiro331/go-xfs-filesystem/xfs"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func read(fs *xfs.FileSystem, name string) []byte {
	file, err := fs.Open(name)
	must(err)
	content, err := io.ReadAll(file)
	must(err)
	return content
}

func describe(content []byte) string {
	if len(bytes.Trim(content, "\x00")) == 0 {
		return fmt.Sprintf("%d zeros", len(content))
	}
	return fmt.Sprintf("%q", content)
}

// ask asks xfs_db about /etc/os-release in the second image.
func ask(commands ...string) string {
	arguments := []string{"-r", "-c", "path /etc/os-release"}
	for _, command := range commands {
		arguments = append(arguments, "-c", command)
	}
	output, err := exec.Command("xfs_db", append(arguments, "1.img")...).Output()
	must(err)
	return strings.TrimSpace(string(output))
}

func main() {
	var seen []string
	for _, value := range []string{"0", "1"} {
		image, err := os.Open(value + ".img")
		must(err)
		info, err := image.Stat()
		must(err)
		fs, err := xfs.NewFS(*io.NewSectionReader(image, 0, info.Size()), nil)
		must(err)
		hosts := read(fs, "etc/hosts")
		seen = append(seen, fmt.Sprintf("-i nrext64=%s   os-release %s, hosts %d bytes, %d of them H",
			value, describe(read(fs, "etc/os-release")), len(hosts), bytes.Count(hosts, []byte("H"))))
	}

	// What xfs_db knows of the file: the number of its extents, and the sector of its first block.
	count := strings.TrimPrefix(ask("print core.nextents"), "core.nextents = ")
	sector, err := strconv.ParseInt(strings.TrimPrefix(ask("dblock 0", "daddr"), "current daddr is "), 10, 64)
	must(err)
	image, err := os.ReadFile("1.img")
	must(err)
	held, _, _ := bytes.Cut(image[sector*512:sector*512+4096], []byte{0})
	seen = append(seen, fmt.Sprintf("xfs_db, -i nrext64=1: os-release has %s extent, and its block holds %q", count, held))

	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		`-i nrext64=0   os-release "ID=debian\nVERSION_CODENAME=trixie\n", hosts 6000 bytes, 6000 of them H`,
		"-i nrext64=1   os-release 34 zeros, hosts 6000 bytes, 0 of them H",
		`xfs_db, -i nrext64=1: os-release has 1 extent, and its block holds "ID=debian\nVERSION_CODENAME=trixie\n"`,
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/masahiro331/go-xfs-filesystem@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
