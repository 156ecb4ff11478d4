#!/usr/bin/env bash
# Shows that growpart, parted and go-diskfs put a GPT's entries back to sector 2, over the boot loader that is there.
#
#   findings/gpt-entries-return-to-sector-two.sh [VERSION]    tries this version of go-diskfs; default: v1.9.4
#
# Subject: growpart 0.33, by which cloud-init enlarges the root partition, with sfdisk 2.38.1; GNU parted 3.5 (all of
# Debian 12); the Go package github.com/diskfs/go-diskfs v1.9.4 of July 2026. Programs that are not installed are left
# out.
#
# What one would guess: who enlarges a partition changes its end. The header of a GPT tells where its entries begin
# (UEFI specification 2.10 table 5.5, PartitionEntryLBA). "sgdisk --move-main-table" and genimage's gpt-location put
# them further back, since Allwinner's boot ROM reads the boot loader from sector 16 (U-Boot,
# doc/board/allwinner/sunxi.rst), amid the entries' usual place. sgdisk 1.0.9, systemd-repart 252 and sfdisk leave them
# there when they change a partition.
#
# What happens: growpart changes sfdisk's dump of the table and gives it back to sfdisk, which makes a new table of it.
# The dump does not say where the entries were, and the new ones go to the sectors 2 to 33, unused ones as zeros. parted
# and go-diskfs read the entries where they are, and write them there as well. The table is right afterwards, the exit
# status is 0, and "sgdisk --verify" finds no problem.
#
# Seen on 2026-11-30, with a boot loader from sector 16 to 79 and the entries at sector 512:
#   untouched:                      entries at sector 512, 0 sectors of the boot loader overwritten
#   go-diskfs, Read and Write:      entries at sector 2, 18 sectors of the boot loader overwritten
#   growpart disk 1:                entries at sector 2, 18 sectors of the boot loader overwritten
#   sfdisk, its dump given back:    entries at sector 2, 18 sectors of the boot loader overwritten
#   parted, name 1 root:            entries at sector 2, 18 sectors of the boot loader overwritten
#   sfdisk, --part-label 1 root:    entries at sector 512, 0 sectors of the boot loader overwritten
#
# Why it matters: such a board starts once, enlarges its root partition, and does not start again; a service that adapts
# its image or restores a dump makes one that never starts. GROWPART_RESIZER=sgdisk makes growpart keep the entries.
# src/agent/image/partition-table.ts keeps them, too.
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
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"slices"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/partition/gpt"
)

const (
	sectorBytes = 512
	sectors     = 1 << 17
	headBytes   = 1 << 20
	entryBytes  = 16384
	entriesAt   = 512
	loaderAt    = 16
	loaderEnd   = 80
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// header returns a GPT header (UEFI specification 2.10 table 5.5).
func header(own, alternate, entriesAt uint64, entries []byte) []byte {
	sector := make([]byte, sectorBytes)
	copy(sector, "EFI PART")
	binary.LittleEndian.PutUint32(sector[8:], 0x00010000)
	binary.LittleEndian.PutUint32(sector[12:], 92)
	binary.LittleEndian.PutUint64(sector[24:], own)
	binary.LittleEndian.PutUint64(sector[32:], alternate)
	binary.LittleEndian.PutUint64(sector[40:], 2048)
	binary.LittleEndian.PutUint64(sector[48:], sectors-34)
	sector[56] = 0xd1
	binary.LittleEndian.PutUint64(sector[72:], entriesAt)
	binary.LittleEndian.PutUint32(sector[80:], 128)
	binary.LittleEndian.PutUint32(sector[84:], 128)
	binary.LittleEndian.PutUint32(sector[88:], crc32.ChecksumIEEE(entries))
	binary.LittleEndian.PutUint32(sector[16:], crc32.ChecksumIEEE(sector[:92]))
	return sector
}

// layOut makes a disk with one partition, a boot loader, and the entries behind it.
func layOut() *os.File {
	head, entries := make([]byte, headBytes), make([]byte, entryBytes)
	copy(head[446:], []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff})
	binary.LittleEndian.PutUint32(head[454:], 1)
	binary.LittleEndian.PutUint32(head[458:], sectors-1)
	copy(head[510:], []byte{0x55, 0xaa})
	copy(entries, []byte("\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4")) // Linux's data
	entries[16] = 1
	binary.LittleEndian.PutUint64(entries[32:], 4096)
	binary.LittleEndian.PutUint64(entries[40:], 65535)
	copy(head[loaderAt*sectorBytes:], bytes.Repeat([]byte("loader.."), (loaderEnd-loaderAt)*sectorBytes/8))
	copy(head[sectorBytes:], header(1, sectors-1, entriesAt, entries))
	copy(head[entriesAt*sectorBytes:], entries)
	tail := append(slices.Clone(entries), header(sectors-1, 1, sectors-33, entries)...)
	disk, err := os.Create("disk")
	must(err)
	must(disk.Truncate(sectors * sectorBytes))
	_, err = disk.WriteAt(head, 0)
	must(err)
	_, err = disk.WriteAt(tail, (sectors-33)*sectorBytes)
	must(err)
	return disk
}

func readHead(disk *os.File) []byte {
	head := make([]byte, headBytes)
	_, err := disk.ReadAt(head, 0)
	must(err)
	return head
}

// describe tells where the entries are, and what has become of the boot loader.
func describe(disk *os.File) string {
	head := readHead(disk)
	overwritten := 0
	for at := loaderAt; at < loaderEnd; at++ {
		if !bytes.HasPrefix(head[at*sectorBytes:], []byte("loader..")) {
			overwritten++
		}
	}
	return fmt.Sprintf("entries at sector %d, %d sectors of the boot loader overwritten",
		binary.LittleEndian.Uint64(head[sectorBytes+72:]), overwritten)
}

// rewrite reads, verifies and writes the table by go-diskfs.
func rewrite(disk *os.File) {
	table, err := gpt.Read(file.New(disk, false), sectorBytes, sectorBytes)
	must(err)
	must(table.Verify(file.New(disk, false), sectors*sectorBytes))
	writable, err := file.New(disk, false).Writable()
	must(err)
	must(table.Write(writable, sectors*sectorBytes))
}

const (
	isMoved = "entries at sector 2, 18 sectors of the boot loader overwritten"
	isKept  = "entries at sector 512, 0 sectors of the boot loader overwritten"
)

func main() {
	isAsFound := true
	show := func(name, seen, found string) {
		fmt.Printf("%-31s %s\n", name+":", seen)
		isAsFound = isAsFound && seen == found
	}
	disk := layOut()
	show("untouched", describe(disk), isKept)
	rewrite(disk)
	show("go-diskfs, Read and Write", describe(disk), isMoved)
	for _, each := range []struct{ name, program, command, found string }{
		{"growpart disk 1", "growpart", "growpart disk 1", isMoved},
		{"sfdisk, its dump given back", "sfdisk", "sfdisk --dump disk > dump && sfdisk --force disk < dump", isMoved},
		{"parted, name 1 root", "parted", "parted --script disk name 1 root", isMoved},
		{"sfdisk, --part-label 1 root", "sfdisk", "sfdisk --part-label disk 1 root", isKept},
	} {
		if _, err := exec.LookPath(each.program); err != nil {
			fmt.Printf("%-31s not installed\n", each.name+":")
			continue
		}
		disk := layOut()
		output, err := exec.Command("sh", "-c", each.command).CombinedOutput()
		if err != nil {
			fmt.Printf("%s", output)
		}
		must(err)
		show(each.name, describe(disk), each.found)
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
./finding
