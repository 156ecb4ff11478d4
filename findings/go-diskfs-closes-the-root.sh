#!/usr/bin/env bash
# Shows that images by go-diskfs let only their owner in, and that a squashfs by it loses setuid bits and has the
# targets of the links in the current folder.
#
#   findings/go-diskfs-closes-the-root.sh [VERSION]    tries this version of go-diskfs; default: v1.9.4
#
# Subject: the Go package github.com/diskfs/go-diskfs v1.9.4 of July 2026, filesystem/squashfs and filesystem/iso9660
# with Rock Ridge, in writing. What they wrote is read by unsquashfs 4.5.1 and xorriso 1.5.4.
#
# What one would guess: Create and Finalize make an image of the workspace. Its root may be read by everybody, as with
# Mkdir, which makes 0755. Modes have 12 bits, with setuid, setgid and sticky: as permissions of a squashfs inode
# (Linux, fs/squashfs/squashfs_fs.h, mode of struct squashfs_base_inode), as POSIX file mode in Rock Ridge (RRIP 1.12
# section 4.1.1). A link has the target with which it was made.
#
# What happens: Create makes the workspace by os.MkdirTemp, which gives 0700, and that is the mode of the image's
# root, with the builder as owner. The squashfs has 9 bits of each mode; the ISO image has all. The squashfs writer
# reads links by their path in the workspace, but from the current folder: it takes the target of the link that is
# there, and fails where there is none. No error is returned in what follows, where the current folder has links of
# these names.
#
# Seen on 2026-11-30, with usr/bin/su of mode 4755, tmp of mode 1777, bin -> usr/bin, and a current folder with a link
# bin -> sbin:
#   squashfs   / drwx------   tmp drwxrwxrwx   usr/bin/su -rwxr-xr-x   bin -> sbin
#   ISO image  / drwx------   tmp drwxrwxrwt   usr/bin/su -rwsr-xr-x   bin -> usr/bin
#
# Why it matters: a squashfs is the root of live systems and installers that boot from the network. With that root
# every service that gives up root cannot reach a file, and su and sudo fail. An installation image that is mounted
# for a web server cannot be served: the server's user gets "Permission denied". Links break worse in a container,
# where the current folder is often /: bin/sh leads to what it is in the builder's system. Before Finalize,
# os.Chmod(fs.Workspace(), 0o755) opens the root, and os.Chdir(fs.Workspace()) corrects the links. bmaas makes no such
# images.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.9.4}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod
umask 022
for tool in unsquashfs xorriso; do
  command -v "$tool" > /dev/null || { echo "could not be tried: there is no $tool" >&2; exit 2; }
done

cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/diskfs/go-diskfs/filesystem/squashfs"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func fill(files filesystem.FileSystem, workspace string) {
	must(files.Mkdir("usr/bin"))
	must(files.Mkdir("tmp"))
	su, err := files.OpenFile("usr/bin/su", os.O_CREATE|os.O_RDWR)
	must(err)
	_, err = su.Write([]byte("su\n"))
	must(err)
	must(su.Close())
	must(os.Chmod(filepath.Join(workspace, "usr/bin/su"), os.ModeSetuid|0o755))
	must(os.Chmod(filepath.Join(workspace, "tmp"), os.ModeSticky|0o777))
	must(os.Symlink("usr/bin", filepath.Join(workspace, "bin")))
}

func main() {
	disk, err := file.CreateFromPath("image.squashfs", 4<<20)
	must(err)
	packed, err := squashfs.Create(disk, 0, 0, 131072)
	must(err)
	fill(packed, packed.Workspace())
	must(packed.Finalize(squashfs.FinalizeOptions{}))
	disk, err = file.CreateFromPath("image.iso", 4<<20)
	must(err)
	disc, err := iso9660.Create(disk, 0, 0, 2048, "")
	must(err)
	fill(disc, disc.Workspace())
	must(disc.Finalize(iso9660.FinalizeOptions{RockRidge: true, VolumeIdentifier: "LIVE"}))
}
GO
{ go mod init finding && go get "github.com/diskfs/go-diskfs@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }

# The current folder has a link, too.
ln -s sbin bin
mkdir workspaces
TMPDIR="$folder/workspaces" ./finding

# Prints the modes and the link, from lines that begin with a mode and end with a path.
describe() {
  awk -v kind="$1" '
    $NF ~ /^(squashfs-root|\/)$/ { root = $1 }
    $NF ~ /\/tmp$/ { tmp = $1 }
    $NF ~ /\/usr\/bin\/su$/ { su = $1 }
    $1 ~ /^l/ { target = $NF }
    END { printf "%-10s / %s   tmp %s   usr/bin/su %s   bin -> %s\n", kind, root, tmp, su, target }'
}
seen=$(
  unsquashfs -lls image.squashfs 2> unsquashfs.log | describe squashfs
  xorriso -abort_on FATAL -report_about FAILURE -indev image.iso -find / -exec lsdl -- 2> xorriso.log |
    tr -d \' | describe "ISO image"
)
echo "$seen"
found="squashfs   / drwx------   tmp drwxrwxrwx   usr/bin/su -rwxr-xr-x   bin -> sbin
ISO image  / drwx------   tmp drwxrwxrwt   usr/bin/su -rwsr-xr-x   bin -> usr/bin"
[ "$seen" = "$found" ] || { echo "this has changed"; exit 1; }
echo "as found"
