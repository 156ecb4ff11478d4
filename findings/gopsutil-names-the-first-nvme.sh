#!/usr/bin/env bash
# Shows that gopsutil gives each NVMe disk the serial number of the first one, with a line feed in it, where there is no
# udev.
#
#   findings/gopsutil-names-the-first-nvme.sh [VERSION]    tries this version of gopsutil; default: v4.26.10
#
# Subject: the Go package github.com/shirou/gopsutil/v4/disk v4.26.10 of October 2026 on Linux, SerialNumber and
# IOCounters.
#
# What one would guess: SerialNumber("/dev/nvme1n1") is the serial number of that disk, or an empty text if it is not
# known. sysfs has it: /sys/dev/block/259:3/device leads to what the kernel calls the device of 259:3, in which `model`
# and `serial` are (Linux, Documentation/ABI/testing/sysfs-dev and drivers/nvme/host/sysfs.c). Numbers of NVMe disks
# and their partitions come from one pool with the major number 259, in the order in which they are found (Linux,
# Documentation/admin-guide/devices.txt, "259 block").
#
# What happens: without udev's data for the device it reads dev/block/259:0/device, "the disk device (minor 0)", since a
# partition has no such folder. That is right for the first disk only: SCSI disks have the minor numbers 0, 16, 32 and
# so on, and have no file `serial`, which hides it there; NVMe disks can have any. The texts are joined as they are,
# with the padding and the line feed that end a file of sysfs. No error is returned.
#
# Seen on 2026-11-30, with a /sys of three NVMe disks, and no /run/udev:
#   nvme0n1 (259:0)   by sysfs: S6XNNE0T100001   SerialNumber: "EXAMPLE SSD 3.84TB  \n_S6XNNE0T100001\n"
#   nvme1n1 (259:3)   by sysfs: S6XNNE0T100002   SerialNumber: "EXAMPLE SSD 3.84TB  \n_S6XNNE0T100001\n"
#   nvme2n1 (259:4)   by sysfs: PHLJ0000000003   SerialNumber: "EXAMPLE SSD 3.84TB  \n_S6XNNE0T100001\n"
#
# Why it matters: an initial RAM disk with static programs, a container, and Alpine with mdev have no udev: there every
# disk of a machine has one serial number, with which an inventory merges them, and an installer that looks for a disk
# by its serial number finds none, or the wrong one. Which disk has 259:0 depends on which one answered first, so that
# it may change with a restart. With udev the value is ID_SERIAL, and right. On such systems read
# /sys/block/NAME/device/serial. bmaas does that, and uses no gopsutil.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried (device nodes need root).
set -euo pipefail

version=${1:-v4.26.10}
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
	"strings"

	"github.com/shirou/gopsutil/v4/disk"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func main() {
	all, err := disk.IOCounters()
	must(err)
	isAsFound := true
	for _, each := range []struct{ name, numbers, found string }{
		{"nvme0n1", "259:0", `by sysfs: S6XNNE0T100001   SerialNumber: "EXAMPLE SSD 3.84TB  \n_S6XNNE0T100001\n"`},
		{"nvme1n1", "259:3", `by sysfs: S6XNNE0T100002   SerialNumber: "EXAMPLE SSD 3.84TB  \n_S6XNNE0T100001\n"`},
		{"nvme2n1", "259:4", `by sysfs: PHLJ0000000003   SerialNumber: "EXAMPLE SSD 3.84TB  \n_S6XNNE0T100001\n"`},
	} {
		bySysfs, err := os.ReadFile(filepath.Join("sys/dev/block", each.numbers, "device/serial"))
		must(err)
		serial, err := disk.SerialNumber(filepath.Join("dev", each.name))
		must(err)
		seen := fmt.Sprintf("by sysfs: %s   SerialNumber: %q", strings.TrimSpace(string(bySysfs)), serial)
		if all[each.name].SerialNumber != serial {
			seen += fmt.Sprintf("   IOCounters: %q", all[each.name].SerialNumber)
		}
		fmt.Printf("%s (%s)   %s\n", each.name, each.numbers, seen)
		isAsFound = isAsFound && seen == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/shirou/gopsutil/v4@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }

mkdir -p dev proc run sys/dev/block
# Adds an NVMe disk, as the kernel shows it: name, minor number, model and serial number.
add_disk() {
  mknod "dev/$1" b 259 "$2" 2> /dev/null || { echo "could not be tried: no device nodes without root" >&2; exit 2; }
  mkdir -p "sys/devices/${1%n1}/$1"
  printf '%s\n' "$3" > "sys/devices/${1%n1}/model"
  printf '%s\n' "$4" > "sys/devices/${1%n1}/serial"
  ln -s .. "sys/devices/${1%n1}/$1/device"
  ln -s "../../devices/${1%n1}/$1" "sys/dev/block/259:$2"
  echo " 259 $2 $1 1 0 8 1 0 0 0 0 0 1 1 0 0 0 0 0 0" >> proc/diskstats
}
add_disk nvme0n1 0 "EXAMPLE SSD 3.84TB  " "S6XNNE0T100001"
add_disk nvme1n1 3 "EXAMPLE SSD 3.84TB  " "S6XNNE0T100002"
add_disk nvme2n1 4 "EXAMPLE SSD 7.68TB  " "PHLJ0000000003"
HOST_DEV="$folder/dev" HOST_PROC="$folder/proc" HOST_RUN="$folder/run" HOST_SYS="$folder/sys" ./finding
