#!/usr/bin/env bash
# Shows that u-root leaves out UEFI boot entries that name an initial RAM disk or whose name has a character such as the
# Chinese "one", the entry that the machine has booted by included.
#
#   findings/u-root-skips-boot-entries.sh [VERSION]    tries this version of u-root; default: v0.16.0
#
# Subject: the Go packages github.com/u-root/u-root/pkg/uefivars and pkg/uefivars/boot v0.16.0, BootEntries() and
# BootVar(), which read the firmware's variables Boot0000, Boot0001 and so on.
#
# What one would guess: BootEntries() returns each of them. A load option has a description, UTF-16 with a Null
# character at its end, and a "packed array of UEFI device paths", of which the first is that of the image and others
# "may optionally exist"; each ends at its own end structure (UEFI specification, section 3.1.3). For Linux's EFI stub,
# those others are to name initial RAM disks, ahead of which the vendor's GUID 5568e427-68fc-4f3d-ac74-ca555231cc68
# stands.
#
# What happens: ParseFilePathList() stops at the first path's end and takes what follows for an error. BootVar() looks
# for the end of the description by the lower byte of each character. It is 0 in U+4E00 ("one"), U+0100 ("Ā"), U+3000 (a
# space) and every 256th character: the device path is looked for in the middle of the name then. BootEntries() drops an
# entry that it cannot read, and has no error to return.
#
# Seen on 2026-12-01:
#   Boot0001 "Linux"                  read: "Linux", HD(1,GPT,…)/File(/EFI/linux.efi)
#   Boot0002 with initial RAM disk    not read: parse error
#   Boot0003 "网卡二" (two)            read: "网卡二", HD(1,GPT,…)/File(/EFI/linux.efi)
#   Boot0004 "网卡一" (one)            not read: parse error
#   BootEntries                       2 of 4 entries: Boot0001 Boot0003
#
# Why it matters: a program that puts the network first in the order of booting, or that looks whether the installed
# system has an entry, makes that out of the entries that it sees: it adds one that exists, or writes an order without
# those, after which the machine boots something else. ReadCurrentBootVar() fails on a machine that was booted by such
# an entry. bmaas reads no boot entries.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.16.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/u-root/u-root/pkg/uefivars"
	"github.com/u-root/u-root/pkg/uefivars/boot"
)

const (
	media      = 4
	hardDrive  = 1
	vendor     = 3
	filePath   = 4
	end        = 0x7f
	endsEntire = 0xff
)

func encode(text string) []byte {
	var bytes []byte
	for _, unit := range append(utf16.Encode([]rune(text)), 0) {
		bytes = binary.LittleEndian.AppendUint16(bytes, unit)
	}
	return bytes
}

// A node of a device path: type, subtype, length and data.
func node(kind, subtype byte, data []byte) []byte {
	return append(binary.LittleEndian.AppendUint16([]byte{kind, subtype}, uint16(4+len(data))), data...)
}

func file(name string) []byte { return node(media, filePath, encode(name)) }

// The path of the image: first partition of a GPT, a file, and the end.
func imagePath() []byte {
	partition := binary.LittleEndian.AppendUint32(nil, 1)
	partition = binary.LittleEndian.AppendUint64(partition, 2048)
	partition = binary.LittleEndian.AppendUint64(partition, 1048576)
	partition = append(partition, slices.Repeat([]byte{0xab}, 16)...)
	partition = append(partition, 2, 2) // GPT, signature is a GUID.
	path := append(node(media, hardDrive, partition), file(`\EFI\linux.efi`)...)
	return append(path, node(end, endsEntire, nil)...)
}

// The path of an initial RAM disk: the vendor's GUID of Linux, a file, and the end.
func initrdPath() []byte {
	guid := []byte{0x27, 0xe4, 0x68, 0x55, 0xfc, 0x68, 0x3d, 0x4f, 0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}
	path := append(node(media, vendor, guid), file(`\initrd.img`)...)
	return append(path, node(end, endsEntire, nil)...)
}

func entry(number int, description string, paths ...[]byte) uefivars.EfiVar {
	list := slices.Concat(paths...)
	data := binary.LittleEndian.AppendUint32(nil, 1) // Active.
	data = binary.LittleEndian.AppendUint16(data, uint16(len(list)))
	data = slices.Concat(data, encode(description), list)
	return uefivars.EfiVar{UUID: boot.BootUUID, Name: fmt.Sprintf("Boot%04X", number), Data: data}
}

var signature = regexp.MustCompile(`GPT,[^)]*`)

func describe(variable uefivars.EfiVar) string {
	read, err := boot.BootVar(variable)
	if err != nil {
		return "not read: " + err.Error()[strings.LastIndex(err.Error(), ": ")+2:]
	}
	return fmt.Sprintf("read: %q, %s", read.Description, signature.ReplaceAllString(read.FilePathList.String(), "GPT,…"))
}

func main() {
	log.SetOutput(io.Discard)
	variables := uefivars.EfiVars{
		entry(1, "Linux", imagePath()),
		entry(2, "Linux", imagePath(), initrdPath()),
		entry(3, "网卡二", imagePath()),
		entry(4, "网卡一", imagePath()),
	}
	names := []string{
		`Boot0001 "Linux"                 `, "Boot0002 with initial RAM disk   ",
		`Boot0003 "网卡二" (two)           `, `Boot0004 "网卡一" (one)           `,
	}
	var seen []string
	for i, variable := range variables {
		seen = append(seen, names[i]+" "+describe(variable))
	}
	var found []string
	for _, read := range boot.BootEntries(variables) {
		found = append(found, fmt.Sprintf("Boot%04X", read.Number))
	}
	seen = append(seen, fmt.Sprintf("%-33s %d of %d entries: %s",
		"BootEntries", len(found), len(variables), strings.Join(found, " ")))
	fmt.Println(strings.Join(seen, "\n"))
	expected := []string{
		`Boot0001 "Linux"                  read: "Linux", HD(1,GPT,…)/File(/EFI/linux.efi)`,
		"Boot0002 with initial RAM disk    not read: parse error",
		`Boot0003 "网卡二" (two)            read: "网卡二", HD(1,GPT,…)/File(/EFI/linux.efi)`,
		`Boot0004 "网卡一" (one)            not read: parse error`,
		"BootEntries                       2 of 4 entries: Boot0001 Boot0003",
	}
	if !slices.Equal(seen, expected) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/u-root/u-root@$version" && go mod tidy && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
