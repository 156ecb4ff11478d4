#!/usr/bin/env bash
# Shows that u-root keeps only the last "options" line of a boot loader entry, and does not put the default entry first.
#
#   findings/u-root-drops-kernel-options.sh [VERSION]    tries this version of u-root; default: v0.16.0
#
# Subject: the Go package github.com/u-root/u-root/pkg/boot/bls v0.16.0, by which LinuxBoot firmware finds kernels.
#
# What one would guess: the lines "options root=..." and "options console=..." of an entry make one command line. The
# Boot Loader Specification (UAPI.1, type #1) says that the key "may appear more than once in which case all specified
# parameters are combined in the order they are listed"; a comment in bls.go repeats the first half. And `default` in
# loader.conf, a glob pattern (loader.conf(5)), puts the entries that match it first: the package's text calls it the
# only keyword of that file that is implemented.
#
# What happens: bls reads a file into a map, in which a later line replaces an earlier one with the same key, so the
# kernel gets no root=. The pattern has no effect: sortImages takes an entry for the default if path/filepath.Match
# returns both an error and a match, which it never does. All entries come in the reverse order of their names as text:
# "rescue" before a machine ID, and 6.9 before 6.10. No error is returned, and nothing is logged.
#
# Seen on 2026-11-30, with "default 6a9857a393724b7a981ebb5b8495b9ea-6.10*" in loader.conf:
#   1. Rescue          root=LABEL=rescue console=ttyS0
#   2. Debian 6.9.1    console=ttyS0
#   3. Debian 6.10.2   console=ttyS0
#
# Why it matters: an agent reports an image as installed and reboots; systemd-boot starts it, and LinuxBoot starts the
# rescue system, or a kernel without its root. Then no heartbeat comes, though each part did what it says. An image for
# both has all parameters in one line, and names in the order that is wanted.
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
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/u-root/u-root/pkg/boot"
	"github.com/u-root/u-root/pkg/boot/bls"
	"github.com/u-root/u-root/pkg/ulog"
)

const machine = "6a9857a393724b7a981ebb5b8495b9ea"

var files = map[string]string{
	"vmlinuz":            "kernel",
	"loader/loader.conf": "timeout 3\ndefault " + machine + "-6.10*\n",
	"loader/entries/rescue.conf": `title   Rescue
linux   /vmlinuz
options root=LABEL=rescue console=ttyS0
`,
	"loader/entries/" + machine + "-6.9.1.conf": `title   Debian
version 6.9.1
linux   /vmlinuz
options root=UUID=6d3376e4-fc93-4509-95ec-a21d68011da2 ro
options console=ttyS0
`,
	"loader/entries/" + machine + "-6.10.2.conf": `title   Debian
version 6.10.2
linux   /vmlinuz
options root=UUID=6d3376e4-fc93-4509-95ec-a21d68011da2 ro
options console=ttyS0
`,
}

func main() {
	for name, content := range files {
		path := filepath.Join("boot", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			panic(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			panic(err)
		}
	}
	images, err := bls.ScanBLSEntries(ulog.Log, "boot", nil, "")
	if err != nil {
		fmt.Println("this has changed:", err)
		os.Exit(1)
	}
	var seen []string
	for at, image := range images {
		linux := image.(*boot.LinuxImage)
		seen = append(seen, fmt.Sprintf("%d. %-15s %s", at+1, linux.Name, linux.Cmdline))
		fmt.Println(seen[at])
	}
	found := []string{
		"1. Rescue          root=LABEL=rescue console=ttyS0",
		"2. Debian 6.9.1    console=ttyS0",
		"3. Debian 6.10.2   console=ttyS0",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/u-root/u-root/pkg/boot/bls@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
