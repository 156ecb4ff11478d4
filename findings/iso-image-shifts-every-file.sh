#!/usr/bin/env bash
# Shows that an ISO image by kdomanski/iso9660 has its files one sector too late if a folder's list ends exactly where
# a sector does, as one of 45 files with names like "node-001" does.
#
#   findings/iso-image-shifts-every-file.sh [VERSION]    tries this version of the package; default: v0.4.0
#
# Subject: the Go package github.com/kdomanski/iso9660 v0.4.0, ImageWriter, by which programs make configuration drives
# (NoCloud, Ignition) and images for a controller's virtual CD.
#
# What one would guess: how many files a folder has makes no difference to what is in them. A folder is a list of
# records in sectors of 2048 bytes; a record may not cross the end of a sector, and what is left of one is zeros
# (ECMA-119 section 6.8.1.1). A list may end exactly where a sector does.
#
# What happens: WriteTo first counts the sectors of each folder, and gives every file its place. Then it writes one
# after the other, without looking where it is. processDirectory fills up the last sector with 2048 - offset % 2048
# zeros: that is a whole sector too many when the offset is a multiple of 2048. All that follows lies one sector behind
# the place that its record names. No error is returned.
#
# Seen on 2026-11-30, with files node-001 to node-0NN that have their own name in them. Each record has 44 bytes, and
# "." and ".." have 68 together, so that 45 files make 2048 bytes:
#   44 files:   node-001 has "node-001", node-002 has "node-002", 44 of 44 as they should be
#   45 files:   node-001 has zeros, node-002 has "node-001", 0 of 45 as they should be
#   46 files:   node-001 has "node-001", node-002 has "node-002", 46 of 46 as they should be
#
# Why it matters: each machine finds its file under its name, gets the one of another machine, and the first one gets
# zeros. That is a valid configuration with a wrong host name or disk, and it comes and goes with the number of
# machines. Names of other lengths fill a sector at other numbers, and one full folder shifts all folders behind it,
# too. Until it is mended, one more file, or one less, avoids it; comparing an image with what went into it finds it.
# bmaas makes no ISO images.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.4.0}
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
	"os"
	"strings"

	"github.com/kdomanski/iso9660"
)

const sectorSize = 2048

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// content is what a file has: its name, and spaces up to the end of a sector.
func content(name string) string {
	return name + strings.Repeat(" ", sectorSize-len(name))
}

// create returns an image with files node-001 and so on.
func create(count int) []byte {
	writer, err := iso9660.NewWriter()
	must(err)
	defer writer.Cleanup()
	for i := 1; i <= count; i++ {
		name := fmt.Sprintf("node-%03d", i)
		must(writer.AddFile(strings.NewReader(content(name)), name))
	}
	var image bytes.Buffer
	must(writer.WriteTo(&image, "cidata"))
	return image.Bytes()
}

// find reads the list of the root folder by ECMA-119, sections 8.4.18 and 9.1, and returns the place of each file.
func find(image []byte) []int {
	root := image[16*sectorSize+156:]
	start := int(binary.LittleEndian.Uint32(root[2:])) * sectorSize
	end := start + int(binary.LittleEndian.Uint32(root[10:]))
	var places []int
	for at := start; at < end; {
		length := int(image[at])
		if length == 0 {
			at += sectorSize - at%sectorSize
			continue
		}
		if image[at+25]&2 == 0 {
			places = append(places, int(binary.LittleEndian.Uint32(image[at+2:])))
		}
		at += length
	}
	return places
}

func main() {
	isAsFound := true
	for _, each := range []struct {
		count int
		found string
	}{
		{44, "44 files:   node-001 has \"node-001\", node-002 has \"node-002\", 44 of 44 as they should be"},
		{45, "45 files:   node-001 has zeros, node-002 has \"node-001\", 0 of 45 as they should be"},
		{46, "46 files:   node-001 has \"node-001\", node-002 has \"node-002\", 46 of 46 as they should be"},
	} {
		image := create(each.count)
		var parts []string
		right := 0
		for i, place := range find(image) {
			name := fmt.Sprintf("node-%03d", i+1)
			data := string(image[place*sectorSize : (place+1)*sectorSize])
			if data == content(name) {
				right++
			}
			shown := fmt.Sprintf("%q", strings.TrimRight(data, " "))
			if strings.Trim(data, "\x00") == "" {
				shown = "zeros"
			}
			if i < 2 {
				parts = append(parts, name+" has "+shown)
			}
		}
		seen := fmt.Sprintf(
			"%d files:   %s, %d of %d as they should be", each.count, strings.Join(parts, ", "), right, each.count,
		)
		fmt.Println(seen)
		isAsFound = isAsFound && seen == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/kdomanski/iso9660@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
