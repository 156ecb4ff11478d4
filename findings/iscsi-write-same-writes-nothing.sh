#!/usr/bin/env bash
# Shows that gotgt answers WRITE SAME with success and writes nothing, so an image's zeros do not reach an iSCSI disk.
#
#   findings/iscsi-write-same-writes-nothing.sh [VERSION]    tries this version of gotgt; default: v0.2.2
#
# Subject: the Go package github.com/gostor/gotgt v0.2.2 of December 2022, an iSCSI target in user space. Its disk is
# a file; the layer for SCSI commands is called here as the iSCSI layer calls it.
#
# What one would guess: WRITE SAME (10) and (16) write the one block that is sent to each of a number of blocks (SBC-3,
# "WRITE SAME (10) command"). A target that does not have the command ends it with CHECK CONDITION and the sense key
# ILLEGAL REQUEST (SPC-4, "Sense key and additional sense code definitions"), and the initiator then writes all blocks.
#
# What happens: the table of commands has both, SBCReadWrite checks their flags and addresses as it should, even refuses
# blocks behind the end, and bsPerformCommand then has a "TODO" in their place. The status is GOOD, without sense data.
#
# Seen on 2026-11-30, on a disk of 64 blocks that is full of X; each time 16 blocks at block 8 are written:
#   WRITE (10), A             GOOD    X 24576, A 8192
#   WRITE SAME (10), zeros    GOOD    X 24576, A 8192
#   WRITE SAME (16), B        GOOD    X 24576, A 8192
#   WRITE SAME (10), behind   CHECK CONDITION
# Over iSCSI on 127.0.0.1, qemu-img 7.2 convert -n of an image with 64 kB of A, 3968 kB of zeros and 64 kB of B exited
# with 0; the disk then had A, B, and between them 4063232 bytes of X from before. qemu-img compare found the mismatch.
#
# Why it matters: who writes an image over an older system gets a mixture. Initiators send zeros by WRITE SAME because
# it is short: QEMU for zeros in an image and for "write -z", Linux (not tried here) for BLKZEROOUT. Directories and
# journals that were zero in the image are then those of the system before, and a wiped disk still has its data. A
# digest of the image that was sent says nothing about it; only reading the disk back does. bmaas speaks no iSCSI.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.2.2}
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

	"github.com/gostor/gotgt/pkg/api"
	"github.com/gostor/gotgt/pkg/config"
	"github.com/gostor/gotgt/pkg/scsi"
	_ "github.com/gostor/gotgt/pkg/scsi/backingstore"
	"github.com/sirupsen/logrus"
)

const (
	blockSize   = 512
	blockCount  = 64
	firstBlock  = 8
	written     = 16
	write10     = 0x2a
	writeSame10 = 0x41
	writeSame16 = 0x93
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// command10 makes a command descriptor block of ten bytes: block's address at 2, number of blocks at 7.
func command10(code byte, block uint32) []byte {
	command := make([]byte, 10)
	command[0] = code
	binary.BigEndian.PutUint32(command[2:], block)
	binary.BigEndian.PutUint16(command[7:], written)
	return command
}

// command16 makes one of sixteen bytes: block's address at 2, number of blocks at 10.
func command16(code byte, block uint64) []byte {
	command := make([]byte, 16)
	command[0] = code
	binary.BigEndian.PutUint64(command[2:], block)
	binary.BigEndian.PutUint32(command[10:], written)
	return command
}

func perform(disk *api.SCSILu, command, content []byte) string {
	status := disk.PerformCommand(0, &api.SCSICommand{
		OpCode:       command[0],
		Device:       disk,
		Direction:    api.SCSIDataWrite,
		OutSDBBuffer: &api.SCSIDataBuffer{Buffer: content, Length: uint32(len(content))},
		SCB:          command,
		SCBLength:    len(command),
	})
	switch status.Stat {
	case api.SAM_STAT_GOOD:
		return "GOOD"
	case api.SAM_STAT_CHECK_CONDITION:
		return "CHECK CONDITION"
	}
	return fmt.Sprintf("status %d", status.Stat)
}

// describe counts the bytes of each kind.
func describe() string {
	content, err := os.ReadFile("disk")
	must(err)
	var kinds []string
	for _, each := range []struct{ name, letter string }{{"X", "X"}, {"A", "A"}, {"B", "B"}, {"zeros", "\x00"}} {
		if count := bytes.Count(content, []byte(each.letter)); count > 0 {
			kinds = append(kinds, fmt.Sprintf("%s %d", each.name, count))
		}
	}
	return strings.Join(kinds, ", ")
}

func main() {
	logrus.SetOutput(io.Discard)
	must(os.WriteFile("disk", bytes.Repeat([]byte("X"), blockCount*blockSize), 0o600))
	disk, err := scsi.NewSCSILu(&config.BackendStorage{DeviceID: 1000, Path: "file:disk", Online: true, BlockShift: 9})
	must(err)
	letters := func(letter string, count int) []byte { return bytes.Repeat([]byte(letter), count*blockSize) }
	seen := []string{
		"WRITE (10), A             " + perform(disk, command10(write10, firstBlock), letters("A", written)) +
			"    " + describe(),
		"WRITE SAME (10), zeros    " + perform(disk, command10(writeSame10, firstBlock), letters("\x00", 1)) +
			"    " + describe(),
		"WRITE SAME (16), B        " + perform(disk, command16(writeSame16, firstBlock), letters("B", 1)) +
			"    " + describe(),
		"WRITE SAME (10), behind   " + perform(disk, command10(writeSame10, blockCount), letters("B", 1)),
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"WRITE (10), A             GOOD    X 24576, A 8192",
		"WRITE SAME (10), zeros    GOOD    X 24576, A 8192",
		"WRITE SAME (16), B        GOOD    X 24576, A 8192",
		"WRITE SAME (10), behind   CHECK CONDITION",
	}
	if strings.Join(seen, "\n") != strings.Join(found, "\n") {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/gostor/gotgt@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
