#!/usr/bin/env bash
# Shows that go-diskfs and kdomanski/iso9660 read only the first section of a file that an ISO image has in several, as
# it has each file of 4 GiB or more.
#
#   findings/iso-readers-stop-at-four-gigabytes.sh [VERSION]    tries this version of go-diskfs; default: v1.9.4
#
# Subject: the Go packages github.com/diskfs/go-diskfs v1.9.4 of July 2026, filesystem/iso9660, and
# github.com/kdomanski/iso9660 v0.4.0, in reading.
#
# What one would guess: a file has the size that it had when it was put into the image, or there is an error. A record
# of a folder has 32 bits for the length, so a larger file has several records with the same name, one behind the other:
# all but the last one have bit 7 of their flags set, "multi-extent", and the file is what their sections are together
# (ECMA-119, sections 6.5 and 9.1.6; interchange level 3). Linux and xorriso put them together. A section may be
# of any number of sectors, so that a small image can have such a file.
#
# What happens: go-diskfs knows the bit as hasMoreEntries, writes it back, and asks for it nowhere in reading. Its list
# of the folder has the name once for each section, and OpenFile opens the first one. iso9660 ignores the bit, and lists
# as many files. No error is returned.
#
# Seen on 2026-11-30, with a file of 6244 bytes, which xorriso 1.5.4 extracts: a section of 4096 times "A", and one of
# 2148 times "B":
#   go-diskfs  2 files, opened: ROOT.IMG 4096 A 0 B
#   iso9660    2 files: ROOT.IMG 4096 A 0 B, ROOT.IMG 0 A 2148 B
#
# Why it matters: root file systems on installation media (.squashfs, install.wim) and images on rescue disks are often
# larger than 4 GiB, and get a size of 4294965248 bytes: a program that copies an image's files to an HTTP server for
# network boots, or to a USB stick, writes the first part of them. A check of names finds each one. Smaller media pass,
# until a release grows. xorriso and mounting read them rightly. bmaas reads no ISO images.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.9.4}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	diskfs "github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/kdomanski/iso9660"
)

const (
	sectorSize  = 2048
	isFolder    = 1 << 1
	multiExtent = 1 << 7
	pathTableAt = 18
	rootAt      = 20
	firstAt     = 21
	secondAt    = 23
	sectors     = 25
	firstSize   = 2 * sectorSize
	secondSize  = sectorSize + 100
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// both writes a number with either end first, as ECMA-119 section 7.3.3 has it.
func both(at []byte, value uint32) {
	binary.LittleEndian.PutUint32(at, value)
	binary.BigEndian.PutUint32(at[4:], value)
}

// both16 is the same for 16 bits (section 7.2.3).
func both16(at []byte, value uint16) {
	binary.LittleEndian.PutUint16(at, value)
	binary.BigEndian.PutUint16(at[2:], value)
}

// record returns an entry of a folder (section 9.1).
func record(name string, sector, size uint32, flags byte) []byte {
	entry := make([]byte, (33+len(name)+1)/2*2)
	entry[0] = byte(len(entry))
	both(entry[2:], sector)
	both(entry[10:], size)
	copy(entry[18:], []byte{126, 11, 30, 12, 0, 0, 0})
	entry[25] = flags
	both16(entry[28:], 1)
	entry[32] = byte(len(name))
	copy(entry[33:], name)
	return entry
}

// create returns an image with one file, which has two sections.
func create() []byte {
	image := make([]byte, sectors*sectorSize)
	root := record("\x00", rootAt, sectorSize, isFolder)
	volume := image[16*sectorSize:]
	copy(volume, "\x01CD001\x01")
	copy(volume[8:], fmt.Sprintf("%-32s%-32s", "LINUX", "MEDIUM"))
	both(volume[80:], sectors)
	both16(volume[120:], 1)
	both16(volume[124:], 1)
	both16(volume[128:], sectorSize)
	both(volume[132:], 10)
	binary.LittleEndian.PutUint32(volume[140:], pathTableAt)
	binary.BigEndian.PutUint32(volume[148:], pathTableAt+1)
	copy(volume[156:], root)
	copy(volume[190:], strings.Repeat(" ", 623))
	for _, at := range []int{813, 830, 847, 864} {
		copy(volume[at:], "2026113012000000")
	}
	volume[881] = 1
	copy(image[17*sectorSize:], "\xffCD001\x01")
	copy(image[pathTableAt*sectorSize:], []byte{1, 0, rootAt, 0, 0, 0, 1, 0, 0, 0})
	copy(image[(pathTableAt+1)*sectorSize:], []byte{1, 0, 0, 0, 0, rootAt, 0, 1, 0, 0})
	copy(image[rootAt*sectorSize:], bytes.Join([][]byte{
		root,
		record("\x01", rootAt, sectorSize, isFolder),
		record("ROOT.IMG;1", firstAt, firstSize, multiExtent),
		record("ROOT.IMG;1", secondAt, secondSize, 0),
	}, nil))
	copy(image[firstAt*sectorSize:], strings.Repeat("A", firstSize))
	copy(image[secondAt*sectorSize:], strings.Repeat("B", secondSize))
	return image
}

func describe(name string, content []byte) string {
	return fmt.Sprintf("%s %d A %d B", name, bytes.Count(content, []byte("A")), bytes.Count(content, []byte("B")))
}

func byDiskfs() string {
	image, err := os.Open("medium.iso")
	must(err)
	files, err := diskfs.Read(file.New(image, true), sectors*sectorSize, 0, sectorSize)
	must(err)
	entries, err := files.ReadDir(".")
	must(err)
	opened, err := files.OpenFile("/ROOT.IMG", os.O_RDONLY)
	must(err)
	content, err := io.ReadAll(opened)
	must(err)
	return fmt.Sprintf("%d files, opened: %s", len(entries), describe("ROOT.IMG", content))
}

func byIso9660() string {
	image, err := os.Open("medium.iso")
	must(err)
	opened, err := iso9660.OpenImage(image)
	must(err)
	root, err := opened.RootDir()
	must(err)
	entries, err := root.GetChildren()
	must(err)
	var found []string
	for _, entry := range entries {
		content, err := io.ReadAll(entry.Reader())
		must(err)
		found = append(found, describe(entry.Name(), content))
	}
	return fmt.Sprintf("%d files: %s", len(entries), strings.Join(found, ", "))
}

func main() {
	must(os.WriteFile("medium.iso", create(), 0o644))
	isAsFound := true
	for _, each := range []struct{ name, seen, found string }{
		{"go-diskfs", byDiskfs(), "2 files, opened: ROOT.IMG 4096 A 0 B"},
		{"iso9660", byIso9660(), "2 files: ROOT.IMG 4096 A 0 B, ROOT.IMG 0 A 2148 B"},
	} {
		fmt.Printf("%-10s %s\n", each.name, each.seen)
		isAsFound = isAsFound && each.seen == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{
  go mod init finding && go get "github.com/diskfs/go-diskfs@$version" github.com/kdomanski/iso9660@v0.4.0 &&
    go build -o finding .
} > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
