#!/usr/bin/env bash
# Shows that prometheus/procfs tells of no array any more while the rebuilding of one waits for that of another.
#
#   findings/procfs-loses-arrays-in-rebuilds.sh [VERSION]    tries this version of procfs; default: v0.23.0
#
# Subject: the Go package github.com/prometheus/procfs/sysfs v0.23.0 of October 2026, FS.Mdraids, beside FS.MDStat of
# the same module, which node_exporter is built upon.
#
# What one would guess: Linux's software RAID is most worth watching while it is being rebuilt. Two arrays with
# partitions of the same disks, as those for /boot and /, are rebuilt one after the other: `sync_completed` of the one
# that waits is "delayed" then, where it else is "none" or "a / b" (Linux, drivers/md/md.c, sync_completed_show;
# /proc/mdstat says "DELAYED"). A reader that does not know the word leaves out that number.
#
# What happens: Mdraids() takes all but "none" for two numbers. Where it finds none, it returns the error of fmt.Sscanf,
# "expected integer", together with the arrays before that one. The others, with the number of their missing disks, are
# missing. MDStat(), on /proc/mdstat of the same moment, knows the case, and returns all.
#
# Seen on 2026-11-30, with /sys and /proc of a machine whose second disk has been replaced:
#   before:      Mdraids: 2 arrays (md0: 1 missing, md1: 1 missing), error <nil>
#                MDStat:  2 arrays (md1: 1 missing, md0: 1 missing), error <nil>
#   rebuilding:  Mdraids: 0 arrays (), error expected integer
#                MDStat:  2 arrays (md1: 1 missing, md0: 1 missing), error <nil>
#
# Why it matters: the metrics of RAID vanish when a disk has been replaced, and come back hours later, when the machine
# is whole again: alerts for "degraded" are resolved since there is nothing to compare, and a second failure in that
# time is not seen. With one array, or with arrays on different disks, it never happens. MDStat() has the numbers of
# disks. bmaas watches no arrays.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.23.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/sysfs"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func describe(found []string, err error) string {
	return fmt.Sprintf("%d arrays (%s), error %v", len(found), strings.Join(found, ", "), err)
}

func bySysfs(folder string) string {
	files, err := sysfs.NewFS(folder + "/sys")
	must(err)
	arrays, err := files.Mdraids()
	var found []string
	for _, array := range arrays {
		found = append(found, fmt.Sprintf("%s: %d missing", array.Device, array.DegradedDisks))
	}
	return describe(found, err)
}

func byProcfs(folder string) string {
	files, err := procfs.NewFS(folder + "/proc")
	must(err)
	arrays, err := files.MDStat()
	var found []string
	for _, array := range arrays {
		found = append(found, fmt.Sprintf("%s: %d missing", array.Name, array.DisksDown))
	}
	return describe(found, err)
}

func main() {
	isAsFound := true
	for _, each := range []struct{ folder, bySysfs, byProcfs string }{
		{
			"before", "2 arrays (md0: 1 missing, md1: 1 missing), error <nil>",
			"2 arrays (md1: 1 missing, md0: 1 missing), error <nil>",
		},
		{
			"rebuilding", "0 arrays (), error expected integer",
			"2 arrays (md1: 1 missing, md0: 1 missing), error <nil>",
		},
	} {
		seenBySysfs, seenByProcfs := bySysfs(each.folder), byProcfs(each.folder)
		fmt.Printf("%-12s Mdraids: %s\n%-12s MDStat:  %s\n", each.folder+":", seenBySysfs, "", seenByProcfs)
		isAsFound = isAsFound && seenBySysfs == each.bySysfs && seenByProcfs == each.byProcfs
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/prometheus/procfs@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }

# Adds an array of two disks, one of which is missing or being rebuilt: folder, name, sync_action and sync_completed.
add_array() {
  local md="$1/sys/block/$2/md"
  mkdir -p "$md"/dev-sda1 "$1/proc"
  echo raid1 > "$md/level"
  echo clean > "$md/array_state"
  echo 1.2 > "$md/metadata_version"
  echo 2 > "$md/raid_disks"
  echo 155f29ff-1716-4107-b362-52307ef86cac > "$md/uuid"
  echo 1 > "$md/degraded"
  echo "$3" > "$md/sync_action"
  echo "$4" > "$md/sync_completed"
  echo in_sync > "$md/dev-sda1/state"
}
add_array before md0 idle none
add_array before md1 idle none
cat > before/proc/mdstat <<'MDSTAT'
Personalities : [raid1]
md1 : active raid1 sda2[0]
      936700000 blocks super 1.2 [2/1] [U_]

md0 : active raid1 sda1[0]
      1046528 blocks super 1.2 [2/1] [U_]

unused devices: <none>
MDSTAT
add_array rebuilding md0 recover delayed
add_array rebuilding md1 recover "468350000 / 1873400000"
cat > rebuilding/proc/mdstat <<'MDSTAT'
Personalities : [raid1]
md1 : active raid1 sdb2[2] sda2[0]
      936700000 blocks super 1.2 [2/1] [U_]
      [=====>...............]  recovery = 25.0% (234175000/936700000) finish=58.5min speed=200000K/sec

md0 : active raid1 sdb1[2] sda1[0]
      1046528 blocks super 1.2 [2/1] [U_]
      	resync=DELAYED

unused devices: <none>
MDSTAT
./finding
