#!/usr/bin/env bash
# Shows that go-erofs writes a file once for each of its names, and that what it copies out of an image has no setuid
# and sticky bits any more.
#
#   findings/go-erofs-multiplies-hard-links.sh [VERSION]    tries this version of go-erofs; default: v0.3.1
#
# Subject: the Go package github.com/erofs/go-erofs v0.3.1 of July 2026, Open and Writer.CopyFrom, beside mkfs.erofs 1.5
# of erofs-utils (Debian 12).
#
# What one would guess: names that are hard links of one file are so in the image: an inode with a count of its links,
# to which several directory entries lead (Linux, fs/erofs/erofs_fs.h, i_nlink of struct erofs_inode_extended, and nid
# of struct erofs_dirent). A copy of an image is as large as the image. FileInfo.Mode has the bits of fs.FileMode, in
# which setuid and sticky are others than in i_mode (package io/fs, ModeSetuid and ModeSticky).
#
# What happens: CopyFrom makes an inode and a copy of the content for each name, whether a folder or an image is copied,
# and gives each the count of links that the file had: 40 inodes, each with 40 links. And Open's FileInfo.Mode is i_mode
# with the type taken away, so 4000 (octal) stays where fs.FileMode has no meaning for it. Sys().(*Stat).Mode is right,
# but CopyFrom reads the other. No error is returned, and fsck.erofs finds nothing wrong.
#
# Seen on 2026-11-30, with a busybox of 1 MB that has 40 names, su of mode 4755 and tmp of mode 1777:
#   mkfs.erofs                 1 MB, 40 names of 1 inode with 40 links, su urwxr-xr-x, tmp dtrwxrwxrwx
#   go-erofs, of the folder    40 MB, 40 names of 40 inodes with 40 links, su urwxr-xr-x, tmp dtrwxrwxrwx
#   go-erofs, of the image     40 MB, 40 names of 40 inodes with 40 links, su -rwxr-xr-x, tmp drwxrwxrwx
#   FileInfo.Mode of the image: su -rwxr-xr-x, equal to 0755: false
#
# Why it matters: EROFS is made for root file systems that are only read, also of machines that boot from the network,
# and these have busybox or git with more than a hundred names: an image of 30 MB becomes one of some hundred, which
# each machine loads. In a merge of layers su and sudo lose their rights, and /tmp lets everybody delete everybody's
# files. Make images by mkfs.erofs, and take modes from Sys(). bmaas makes none.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.3.1}
command -v mkfs.erofs > /dev/null || { echo "could not be tried: no mkfs.erofs (erofs-utils)" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

mkdir -p tree/bin tree/tmp
head -c 1048576 /dev/urandom > tree/bin/busybox
for number in {2..40}; do
  ln tree/bin/busybox "tree/bin/name$number"
done
printf 'su\n' > tree/su
chmod 4755 tree/su
chmod 1777 tree/tmp
mkfs.erofs mkfs.img tree > mkfs.log 2>&1 || { cat mkfs.log >&2; exit 2; }

cat > main.go <<'GO'
package main

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/erofs/go-erofs"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func open(path string) fs.FS {
	file, err := os.Open(path)
	must(err)
	image, err := erofs.Open(file)
	must(err)
	return image
}

// write makes an image with all of source.
func write(path string, source fs.FS) {
	file, err := os.Create(path)
	must(err)
	writer := erofs.Create(file)
	must(writer.CopyFrom(source))
	must(writer.Close())
	must(file.Close())
}

func stat(image fs.FS, name string) *erofs.Stat {
	info, err := fs.Stat(image, name)
	must(err)
	return info.Sys().(*erofs.Stat)
}

// describe tells what is in an image, by what its inodes say.
func describe(path string) string {
	info, err := os.Stat(path)
	must(err)
	image := open(path)
	entries, err := fs.ReadDir(image, "bin")
	must(err)
	inodes := map[int64]bool{}
	for _, entry := range entries {
		inodes[stat(image, "bin/"+entry.Name()).Ino] = true
	}
	return fmt.Sprintf("%d MB, %d names of %d inode%s with %d links, su %v, tmp %v",
		info.Size()>>20, len(entries), len(inodes), map[bool]string{false: "s"}[len(inodes) == 1],
		stat(image, "bin/busybox").Nlink, stat(image, "su").Mode, stat(image, "tmp").Mode)
}

func main() {
	write("folder.img", os.DirFS("tree"))
	write("copy.img", open("mkfs.img"))
	su, err := fs.Stat(open("mkfs.img"), "su")
	must(err)
	seen := []string{
		"mkfs.erofs                 " + describe("mkfs.img"),
		"go-erofs, of the folder    " + describe("folder.img"),
		"go-erofs, of the image     " + describe("copy.img"),
		fmt.Sprintf("FileInfo.Mode of the image: su %v, equal to 0755: %v", su.Mode(), su.Mode() == 0o755),
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"mkfs.erofs                 1 MB, 40 names of 1 inode with 40 links, su urwxr-xr-x, tmp dtrwxrwxrwx",
		"go-erofs, of the folder    40 MB, 40 names of 40 inodes with 40 links, su urwxr-xr-x, tmp dtrwxrwxrwx",
		"go-erofs, of the image     40 MB, 40 names of 40 inodes with 40 links, su -rwxr-xr-x, tmp drwxrwxrwx",
		"FileInfo.Mode of the image: su -rwxr-xr-x, equal to 0755: false",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/erofs/go-erofs@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
