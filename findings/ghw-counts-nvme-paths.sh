#!/usr/bin/env bash
# Shows that ghw counts a multipath NVMe namespace once more for each path, and finds every disk at NUMA node 0.
#
#   findings/ghw-counts-nvme-paths.sh [VERSION]    tries this version of ghw; default: v0.27.0
#
# Subject: the Go package github.com/jaypipes/ghw v0.27.0, block storage on Linux.
#
# What one would guess: TotalSizeBytes is "the amount of physical block storage on the host", and NUMANodeID "the NUMA
# node this disk is local to", -1 where there are none. Linux lists each path of a multipath NVMe namespace in
# /sys/block beside the namespace, with its size, and marks it by the file `hidden`: "Used for the underlying
# components of multipath devices" (Documentation/ABI/stable/sysfs-block). A path cannot be opened. The file
# `numa_node` belongs to the disk's PCI device (Documentation/ABI/testing/sysfs-bus-pci), some directories above the
# disk's.
#
# What happens: disks() in block_linux.go takes every name in /sys/block for a disk, and reads no `hidden`.
# diskNUMANodeID looks for `numa_node` in the disk's own directory, where it never is. It converts the content if
# reading failed, and returns the result if converting failed as well: 0. With the errors the right way round it would
# still not find it, since the next place that it tries is the last part of the link's path, and no directory above.
#
# Seen on 2026-11-30, with a chroot of a dual-port NVMe disk of 1.92 TB and a SATA disk of 480 GB, both at NUMA node 1:
#   nvme0c0n1  1920383410176 bytes, hidden 1, NUMA node 0 instead of 1
#   nvme0c1n1  1920383410176 bytes, hidden 1, NUMA node 0 instead of 1
#   nvme0n1    1920383410176 bytes, hidden 0, NUMA node 0 instead of -1
#   sda        480103981056 bytes, hidden 0, NUMA node 0 instead of 1
#   total      6241254211584 bytes instead of 2400487391232
#
# Why it matters: an inventory has disks that do not exist and twice or thrice the capacity, from disks that report
# multipath capability even with one port in use; a choice of disks by NUMA node never chooses. No error is returned.
# src/agent/hardware/sysfs-disks.ts leaves hidden disks out, and lists them as paths of their disk.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.27.0}
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
	"strings"

	"github.com/jaypipes/ghw"
)

type device struct {
	name, path string
	sectors    int
	hidden     int
}

// devices have their paths as Linux lays them out.
var devices = []device{
	{"nvme0c0n1", "pci0000:ae/0000:ae:00.0/0000:af:00.0/nvme/nvme0", 3750748848, 1},
	{"nvme0c1n1", "pci0000:ae/0000:ae:01.0/0000:b0:00.0/nvme/nvme1", 3750748848, 1},
	{"nvme0n1", "virtual/nvme-subsystem/nvme-subsys0", 3750748848, 0},
	{"sda", "pci0000:ae/0000:ae:17.0/ata1/host0/target0:0:0/0:0:0:0/block", 937703088, 0},
}

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func write(path, content string) {
	must(os.MkdirAll(filepath.Dir(path), 0o755))
	must(os.WriteFile(path, []byte(content), 0o644))
}

// lay makes the files of a device, and those of the PCI devices above it.
func lay(each device) {
	directory := filepath.Join("root/sys/devices", each.path, each.name)
	write(filepath.Join(directory, "size"), fmt.Sprintln(each.sectors))
	write(filepath.Join(directory, "hidden"), fmt.Sprintln(each.hidden))
	write(filepath.Join(directory, "removable"), "0\n")
	write(filepath.Join(directory, "queue/rotational"), "0\n")
	write(filepath.Join(directory, "queue/physical_block_size"), "4096\n")
	write(filepath.Join(directory, "queue/logical_block_size"), "512\n")
	for above := filepath.Dir(directory); above != "root/sys/devices"; above = filepath.Dir(above) {
		if strings.HasPrefix(filepath.Base(above), "0000:") {
			write(filepath.Join(above, "numa_node"), "1\n")
		}
	}
	must(os.MkdirAll("root/sys/block", 0o755))
	must(os.Symlink(filepath.Join("../devices", each.path, each.name), filepath.Join("root/sys/block", each.name)))
}

// findNode returns the NUMA node of the nearest device above that has one.
func findNode(each device) string {
	for above := filepath.Join("root/sys/devices", each.path); above != "root/sys"; above = filepath.Dir(above) {
		if content, err := os.ReadFile(filepath.Join(above, "numa_node")); err == nil {
			return strings.TrimSpace(string(content))
		}
	}
	return "-1"
}

func main() {
	for _, each := range devices {
		lay(each)
	}
	info, err := ghw.Block(ghw.WithChroot("root"))
	must(err)
	var seen []string
	total := 0
	for _, disk := range info.Disks {
		at := slices.IndexFunc(devices, func(each device) bool { return each.name == disk.Name })
		each := devices[at]
		if each.hidden == 0 {
			total += each.sectors * 512
		}
		seen = append(seen, fmt.Sprintf("%-10s %d bytes, hidden %d, NUMA node %d instead of %s",
			disk.Name, disk.SizeBytes, each.hidden, disk.NUMANodeID, findNode(each)))
	}
	seen = append(seen, fmt.Sprintf("total      %d bytes instead of %d", info.TotalSizeBytes, total))
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"nvme0c0n1  1920383410176 bytes, hidden 1, NUMA node 0 instead of 1",
		"nvme0c1n1  1920383410176 bytes, hidden 1, NUMA node 0 instead of 1",
		"nvme0n1    1920383410176 bytes, hidden 0, NUMA node 0 instead of -1",
		"sda        480103981056 bytes, hidden 0, NUMA node 0 instead of 1",
		"total      6241254211584 bytes instead of 2400487391232",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/jaypipes/ghw@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
