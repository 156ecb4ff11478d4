#!/usr/bin/env bash
# Shows that go-vmdk-parser reads the file's own description where a VMDK says that a part of the disk is zeros.
#
#   findings/vmdk-reads-zeros-as-text.sh [VERSION]
#
# Tries this version of the package; default: v0.0.0-20260423020818-08305fa668d2.
#
# Subject: the Go package github.com/masahiro331/go-vmdk-parser of April 2026, monolithicSparse images, by which
# scanners read disks of machines.
#
# What one would guess: what was zeroed reads as zeros. A VMDK divides the disk into grains of 64 KiB; a table has for
# each grain the sector at which it lies, and 0 if there is none. With bit 2 of the header's flags, "zeroed-grain GTE",
# the value 1 stands for a grain of zeros, which an image with a parent needs to hide the parent's (VMware Virtual Disk
# Format 5.0, "Hosted Sparse Extent Header" and "Grain"; qemu-img writes them with -o zeroed_grain=on, as version 2 of
# the header). A reader that knows no such flag refuses the image.
#
# What happens: TranslateOffset takes any value but 0 for a sector. Sector 1 is the first one behind the header, where
# the description of the image in text mostly stands. So a zeroed grain reads as that text, the tables, and what comes
# behind them. Neither flags nor version are looked at. No error is returned.
#
# Seen on 2026-11-30, with three grains of 64 KiB, of which qemu-img 7.2 reads the second and the third as zeros:
#   grain 0, at sector 128:  only "A"
#   grain 1, zeroed (1):     "# Disk DescriptorFile"...
#   grain 2, not there (0):  only zeros
#
# Why it matters: what was wiped comes back as something else, the same in every grain, instead of zeros. A file of
# zeros has text, an empty inode table has inodes, and a copy that is made through the reader is damaged. Images without
# that flag are read rightly, and so is what "qemu-img convert" makes by default. bmaas refuses a VMDK by its
# first bytes (src/agent/image/image-format.ts).
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.0.0-20260423020818-08305fa668d2}
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

	"github.com/masahiro331/go-vmdk-parser/pkg/virtualization/vmdk"
)

const (
	sectorSize     = 512
	grainSectors   = 128
	grains         = 3
	directoryAt    = 21
	tableAt        = 22
	entriesOfTable = 512
	zeroedGrain    = 1
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// create returns an image whose first grain has only A, whose second one is zeroed, and whose third one is not there.
func create() []byte {
	image := make([]byte, 2*grainSectors*sectorSize)
	header := vmdk.Header{
		Signature: 0x564d444b, Version: 2, Flag: 1<<0 | 1<<2, Capacity: grains * grainSectors, GrainSize: grainSectors,
		DescriptorOffset: 1, DescriptorSize: 20, NumGTEsPerGT: entriesOfTable, GdOffset: directoryAt,
		OverHead: grainSectors, SingleEndLineChar: '\n', NonEndLineChar: ' ', DoubleEndLineChar1: '\r',
		DoubleEndLineChar2: '\n',
	}
	var written bytes.Buffer
	must(binary.Write(&written, binary.LittleEndian, header))
	copy(image, written.Bytes())
	copy(image[sectorSize:], fmt.Sprintf(`# Disk DescriptorFile
version=1
CID=0badcafe
parentCID=ffffffff
createType="monolithicSparse"

# Extent description
RW %d SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "1"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "ide"
`, grains*grainSectors))
	binary.LittleEndian.PutUint32(image[directoryAt*sectorSize:], tableAt)
	binary.LittleEndian.PutUint32(image[tableAt*sectorSize:], grainSectors)
	binary.LittleEndian.PutUint32(image[tableAt*sectorSize+4:], zeroedGrain)
	copy(image[grainSectors*sectorSize:], strings.Repeat("A", grainSectors*sectorSize))
	return image
}

func main() {
	image := create()
	must(os.WriteFile("disk.vmdk", image, 0o644))
	disk, err := vmdk.Open(bytes.NewReader(image), nil)
	must(err)
	content, err := io.ReadAll(disk)
	must(err)
	isAsFound := len(content) == grains*grainSectors*sectorSize
	for i, each := range []struct{ name, found string }{
		{"at sector 128", `only "A"`},
		{"zeroed (1)", `"# Disk DescriptorFile"...`},
		{"not there (0)", "only zeros"},
	} {
		grain := string(content[i*grainSectors*sectorSize : (i+1)*grainSectors*sectorSize])
		line, _, _ := strings.Cut(grain, "\n")
		seen := fmt.Sprintf("%q...", line)
		if grain == strings.Repeat(grain[:1], len(grain)) {
			seen = strings.Replace(fmt.Sprintf("only %q", grain[:1]), `"\x00"`, "zeros", 1)
		}
		fmt.Printf("grain %d, %-15s %s\n", i, each.name+":", seen)
		isAsFound = isAsFound && seen == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/masahiro331/go-vmdk-parser@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
