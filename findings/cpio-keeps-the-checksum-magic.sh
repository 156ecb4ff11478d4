#!/usr/bin/env bash
# Shows that one cpio header with a checksum makes cavaliergopher/cpio mark all later archives as having checksums.
#
#   findings/cpio-keeps-the-checksum-magic.sh [VERSION]    tries this version of the package; default: v1.0.1
#
# Subject: the Go package github.com/cavaliergopher/cpio v1.0.1, for initial RAM disks, RPM payloads and SWUpdate
# images.
#
# What one would guess: Header.Checksum is for the entry that has it, and a Writer knows nothing of other writers. The
# format "newc" has the magic number 070701 and no checksum; "crc" has 070702, and the sum of each file's bytes.
# SWUpdate wants "crc", and Linux takes either for an initial RAM disk.
#
# What happens: writeSVR4Header assigns the package's slice svr4Magic to a variable, and changes its sixth byte to '2'
# if the entry has a checksum. The variable is the same memory: from then on every header of the process has 070702,
# those of other writers and of archives to come included. Their checksum is 0, and 0 is what a reader then compares
# with. The package's own reader compares nothing, so a test that reads the archive again passes. No error is returned.
#
# Seen on 2026-11-30, with three writers one after the other:
#   an initial RAM disk:           070701, sum of init 0x214, in the header 0x0
#   an image with checksums:       070702, sum of init 0x214, in the header 0x214
#   the same initial RAM disk:     070702, sum of init 0x214, in the header 0x0
#   read by the package:           init, "hello"
#
# GNU cpio 2.13 says of the third one "cpio: init: checksum error (0x214, should be 0x0)", and exits with 0.
#
# Why it matters: a service that makes RAM disks and SWUpdate images makes good RAM disks until the first image, and
# ones that a reader of checksums refuses from then on until it is restarted. It happens as well to who only copies
# headers from an archive of the other format. To write from several goroutines is a data race. Who needs both formats
# can start a process for each. tools/netboot/cpio.ts writes 070701, and nothing else.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.0.1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cavaliergopher/cpio"
)

const content = "hello"

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// pack returns an archive with one file.
func pack(checksum uint32) []byte {
	var archive bytes.Buffer
	writer := cpio.NewWriter(&archive)
	header := &cpio.Header{Name: "init", Mode: cpio.TypeReg | 0o755, Size: int64(len(content)), Checksum: checksum}
	must(writer.WriteHeader(header))
	_, err := io.WriteString(writer, content)
	must(err)
	must(writer.Close())
	return archive.Bytes()
}

// describe reads the first header as cpio(5) has it: the magic number, and the checksum as the last of 13 fields.
func describe(archive []byte, sum uint32) string {
	check, err := strconv.ParseUint(string(archive[102:110]), 16, 32)
	must(err)
	return fmt.Sprintf("%s, sum of init %#x, in the header %#x", archive[:6], sum, check)
}

func main() {
	var sum uint32
	for _, each := range []byte(content) {
		sum += uint32(each)
	}
	first, second, third := pack(0), pack(sum), pack(0)
	reader := cpio.NewReader(bytes.NewReader(third))
	header, err := reader.Next()
	must(err)
	read, err := io.ReadAll(reader)
	must(err)
	seen := []string{
		"an initial RAM disk:           " + describe(first, sum),
		"an image with checksums:       " + describe(second, sum),
		"the same initial RAM disk:     " + describe(third, sum),
		fmt.Sprintf("read by the package:           %s, %q", header.Name, read),
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"an initial RAM disk:           070701, sum of init 0x214, in the header 0x0",
		"an image with checksums:       070702, sum of init 0x214, in the header 0x214",
		"the same initial RAM disk:     070702, sum of init 0x214, in the header 0x0",
		`read by the package:           init, "hello"`,
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/cavaliergopher/cpio@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
