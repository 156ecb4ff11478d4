#!/usr/bin/env bash
# Shows that u-root tells the management controller a firmware version of which the beginning is repeated.
#
#   findings/u-root-repeats-the-version.sh [VERSION]    tries this version of u-root; default: v0.16.0
#
# Subject: the Go package github.com/u-root/u-root/pkg/ipmi v0.16.0, SetSystemFWVersion(), by which systemboot tells the
# management controller at each start what firmware runs. The package is compiled as it is, with one file added that is
# the controller.
#
# What one would guess: the controller has the version, to be read by `ipmitool` and shown on its page. Set System Info
# Parameters sends it in blocks of 16 bytes, of which the first has the encoding, the length and 14 characters, and each
# one behind it has the next 16 (so does OpenBMC join them, phosphor-host-ipmid, apphandler.cpp).
#
# What happens: each block is filled from the beginning of the version. Up to 14 characters it is right. The length is
# that of the whole, so the controller takes it for complete. No error is returned.
#
# Seen on 2026-12-01:
#   v7.0.0                                 1 block     controller has "v7.0.0"
#   2026.11.30-prod                        2 blocks    controller has "2026.11.30-pro2"
#   2026.11.30-r1-rack7-staging-0f3c9d1a   3 blocks    controller has "2026.11.30-r1-2026.11.30-r1-ra2026.1"
#
# Why it matters: an inventory that reads versions from the controllers has such that exist nowhere, and the part that
# tells two builds apart is the end, which is missing: two machines with different firmware look alike, and an update
# that is verified this way has failed or has not. Keep it to 14 characters. bmaas takes the firmware's version from
# SMBIOS.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.16.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > controller.go <<'GO'
package ipmi

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controller answers each command with success, and hands the data to receive.
type controller struct {
	receive func([]byte)
	id      int64
}

func (c *controller) syscall(_, _, command, address uintptr) (uintptr, uintptr, unix.Errno) {
	if command == _IPMICTL_SEND_COMMAND {
		sent := *(**request)(unsafe.Pointer(&address))
		c.id = sent.msgid
		c.receive(append([]byte(nil), unsafe.Slice((*byte)(sent.msg.Data), sent.msg.DataLen)...))
		return 0, 0, 0
	}
	answer := *(**response)(unsafe.Pointer(&address))
	*(*byte)(answer.msg.Data) = 0
	answer.msg.DataLen = 1
	answer.msgid = c.id
	return 0, 0, 0
}

func (*controller) fileSyscallConn(*os.File) (syscall.RawConn, error)         { return nil, nil }
func (*controller) fileSetReadDeadline(*os.File, time.Duration) error         { return nil }
func (*controller) connRead(read func(uintptr) bool, _ syscall.RawConn) error { read(0); return nil }

// Connect returns an interface to a controller that hands the data of each command to receive.
func Connect(receive func([]byte)) (*IPMI, error) {
	file, err := os.Open(os.DevNull)
	return &IPMI{&dev{f: file, syscalls: &controller{receive: receive}}}, err
}
GO

cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"finding/ipmi"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// Sets a version, and describes what the controller makes of the blocks.
func describe(version string) string {
	length, blocks := 0, 0
	var text []byte
	controller, err := ipmi.Connect(func(data []byte) {
		// Parameter selector, set selector, block.
		if data[1] == 0 {
			length = int(data[3])
			text = append(text, data[4:]...)
		} else {
			text = append(text, data[2:]...)
		}
		blocks++
	})
	must(err)
	must(controller.SetSystemFWVersion(version))
	sent := fmt.Sprintf("%d blocks", blocks)
	if blocks == 1 {
		sent = "1 block"
	}
	return fmt.Sprintf("%-38s %-11s controller has %q", version, sent, text[:length])
}

func main() {
	seen := []string{describe("v7.0.0"), describe("2026.11.30-prod"), describe("2026.11.30-r1-rack7-staging-0f3c9d1a")}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		`v7.0.0                                 1 block     controller has "v7.0.0"`,
		`2026.11.30-prod                        2 blocks    controller has "2026.11.30-pro2"`,
		`2026.11.30-r1-rack7-staging-0f3c9d1a   3 blocks    controller has "2026.11.30-r1-2026.11.30-r1-ra2026.1"`,
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO

{
  go mod init finding
  go get "github.com/u-root/u-root@$version"
  source=$(go list -m -f '{{.Dir}}' github.com/u-root/u-root)
  mkdir ipmi
  cp "$source"/pkg/ipmi/*.go ipmi
  rm -f ipmi/*_test.go
  chmod u+w ipmi/*
  mv controller.go ipmi
  go mod tidy
  go build -o finding .
} > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
