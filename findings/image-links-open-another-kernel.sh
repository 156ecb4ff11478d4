#!/usr/bin/env bash
# Shows that go-ext4-filesystem opens another file than a link in a directory leads to: that of the link with the same
# name in the root directory, and none if there is no such link.
#
#   findings/image-links-open-another-kernel.sh [VERSION]
#
# Tries this version of the package; default: v0.0.0-20260423010602-fe51f5b5e52b.
#
# Subject: the Go package github.com/masahiro331/go-ext4-filesystem/ext4 of April 2026, by which scanners read disks of
# machines. The file system is made by mke2fs of e2fsprogs 1.47.0 (Debian 12).
#
# What one would guess: Open follows a symbolic link from the directory in which it lies, as Linux does
# (path_resolution(7)), or says that it follows none.
#
# What happens: Open asks ReadLink for the link's name without its directory, and so for a link in the root directory.
# The target that it gets is opened from the root directory as well. If there is a link with this name, its target's
# content is returned, with no error; else Open says that the file does not exist.
#
# Seen on 2026-12-01, with /vmlinuz -> vmlinuz-6.1, /boot/vmlinuz -> vmlinuz-6.12 and /etc/os-release of Debian:
#   boot/vmlinuz-6.12    "Linux 6.12"
#   boot/vmlinuz         "Linux 6.1"
#   vmlinuz              "Linux 6.1"
#   etc/os-release       file does not exist
#
# Why it matters: "which kernel does this machine's disk boot" is answered with another one where / and /boot have links
# of one name and only one of them was moved by an upgrade. A copy of /boot has the old kernel under the new one's name.
# Nearly all distributions have /etc/os-release as a link, so that the system of an image is unknown. To resolve links
# oneself, take ReadLink with the whole path. bmaas reads no ext4.
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
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/masahiro331/go-ext4-filesystem/ext4"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// describe returns the content of what the package opens under a name.
func describe(files *ext4.FileSystem, name string) string {
	file, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("%-20s file does not exist", name)
	}
	must(err)
	content, err := io.ReadAll(file)
	must(err)
	return fmt.Sprintf("%-20s %q", name, content)
}

func main() {
	image, err := os.Open("image")
	must(err)
	info, err := image.Stat()
	must(err)
	files, err := ext4.NewFS(*io.NewSectionReader(image, 0, info.Size()), nil)
	must(err)
	var seen []string
	for _, name := range []string{"boot/vmlinuz-6.12", "boot/vmlinuz", "vmlinuz", "etc/os-release"} {
		seen = append(seen, describe(files, name))
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		`boot/vmlinuz-6.12    "Linux 6.12"`,
		`boot/vmlinuz         "Linux 6.1"`,
		`vmlinuz              "Linux 6.1"`,
		`etc/os-release       file does not exist`,
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/masahiro331/go-ext4-filesystem@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }

mkdir -p root/boot root/etc root/usr/lib
printf "Linux 6.12" > root/boot/vmlinuz-6.12
printf "Linux 6.1" > root/vmlinuz-6.1
printf "ID=debian" > root/usr/lib/os-release
ln -s vmlinuz-6.12 root/boot/vmlinuz
ln -s vmlinuz-6.1 root/vmlinuz
ln -s ../usr/lib/os-release root/etc/os-release
truncate -s 16M image
mke2fs -q -F -t ext4 -d root image || { echo "could not be tried: mke2fs" >&2; exit 2; }
./finding
