#!/usr/bin/env bash
# Shows that go-ipmi ends a FRU's custom fields at an empty one, and that a FRU which it reads and packs is damaged.
#
#   findings/go-ipmi-rewrites-fru.sh [VERSION]    tries this version of go-ipmi; default: v0.9.1
#
# Subject: the Go package github.com/bougou/go-ipmi/pkg/types v0.9.1: ParseFRU and PackFRUInventory. An area of a FRU
# EEPROM holds manufacturer, serial number and so on, and custom fields.
#
# What one would guess: the fields end at the byte C1h alone. An empty field is a place holder, and a length of 0 says
# that the field is empty (Platform Management FRU Information Storage Definition v1.0, sections 4, 5 and 13). What was
# read packs to the same bytes, and after an edit to an area of a multiple of 8 bytes with a sum of 0 (section 12).
#
# What happens: the parser also stops at a length of 0. It takes what follows for unused space, and Pack writes C1h
# before it: now the fields are lost to every reader. An area has unused space as a rule, and Pack copies it and then
# pads no more: with a new asset tag of 4 letters the area has 84 bytes, a length byte of 10 * 8, and its sum in the
# 84th byte. ParseFRU verifies no area's sum and reads it without an error.
#
# Seen on 2026-11-30, with the fields "02:00:00:00:00:01", empty, "02:00:00:00:00:02"; ipmi-fru (FreeIPMI 1.6.10) showed
# both addresses for the first, one for the second, and "product info area checksum invalid" for the third:
#   made:                80 bytes, length 80, sum 0, 3 custom fields   by go-ipmi: 1 custom field
#   packed again:        80 bytes, length 80, sum 0, 1 custom fields   by go-ipmi: 1 custom field
#   with an asset tag:   84 bytes, length 80, sum 182, 1 custom fields   by go-ipmi: 1 custom field
#
# Why it matters: whoever sets an asset tag by reading, editing and writing the FRU with this package leaves an
# area that readers which verify the sum refuse, and erases custom fields for good; reading it back with the same
# package shows the tag. A maker leaves a custom field empty to keep the numbers of those behind it. Before packing,
# set Unused to nil and Custom to the fields of the raw bytes.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.9.1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bougou/go-ipmi/pkg/types"
)

const predefined = 7 // of a product's area: manufacturer, name, part, version, serial number, asset tag, file

var fields = []string{"ACME", "Server 9", "SRV-9", "02", "S1234567", "", "",
	"02:00:00:00:00:01", "", "02:00:00:00:00:02"}

func sum(bytes []byte) (total byte) {
	for _, each := range bytes {
		total += each
	}
	return total
}

// makeFRU returns a FRU with a product's area.
func makeFRU() []byte {
	area := []byte{1, 0, 0x19} // version 1, length, English
	for _, field := range fields {
		area = append(append(area, 0xc0|byte(len(field))), field...)
	}
	area = append(area, 0xc1)
	for len(area)%8 != 7 {
		area = append(area, 0)
	}
	area[1] = byte(len(area)+1) / 8
	header := []byte{1, 0, 0, 0, 1, 0, 0, 0xfe}
	return append(append(header, area...), -sum(area))
}

// describe reads the FRU by the standard and by the package.
func describe(name string, fru []byte) string {
	area := fru[8:]
	length := int(area[1]) * 8
	count := -predefined
	for at := 3; area[at] != 0xc1; at += 1 + int(area[at]&0x3f) {
		count++
	}
	parsed, err := types.ParseFRU(fru)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%-20s %d bytes, length %d, sum %d, %d custom fields   by go-ipmi: %d custom field",
		name, len(area), length, sum(area[:length]), count, len(parsed.ProductInfoArea.Custom))
}

func main() {
	made := makeFRU()
	parsed, err := types.ParseFRU(made)
	if err != nil {
		fmt.Println("this has changed:", err)
		os.Exit(1)
	}
	packed, err := types.PackFRUInventory(parsed)
	if err != nil {
		fmt.Println("this has changed:", err)
		os.Exit(1)
	}
	parsed.ProductInfoArea.AssetTag = []byte("A-77")
	parsed.ProductInfoArea.AssetTagTypeLength = 0xc0 | 4
	edited, err := types.PackFRUInventory(parsed)
	if err != nil {
		fmt.Println("this has changed:", err)
		os.Exit(1)
	}
	seen := []string{describe("made:", made), describe("packed again:", packed), describe("with an asset tag:", edited)}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"made:                80 bytes, length 80, sum 0, 3 custom fields   by go-ipmi: 1 custom field",
		"packed again:        80 bytes, length 80, sum 0, 1 custom fields   by go-ipmi: 1 custom field",
		"with an asset tag:   84 bytes, length 80, sum 182, 1 custom fields   by go-ipmi: 1 custom field",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/bougou/go-ipmi/pkg/types@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
