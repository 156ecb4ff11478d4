#!/usr/bin/env bash
# Shows that u-root boots the installer where a PXELINUX file's or an iPXE script's default is the local disk, and takes
# lines of a menu's help text for directives.
#
#   findings/u-root-installs-by-default.sh [VERSION]    tries this version of u-root; default: v0.16.0
#
# Subject: the Go packages pkg/boot/syslinux and pkg/boot/netboot/ipxe of github.com/u-root/u-root v0.16.0, by which
# LinuxBoot firmware's pxeboot finds what to boot.
#
# What one would guess: a network boot ends up where the same file sends any other machine. "DEFAULT local" names the
# label that is booted if nobody chooses, and the package says that it reads DEFAULT. "LOCALBOOT 0" instead of a kernel
# means the local disk (Syslinux, doc/syslinux.txt). What stands between TEXT HELP and ENDTEXT is shown to people
# (doc/menu.txt). An iPXE script is a program: "exit" ends it, and "goto" passes over commands (ipxe.org/scripting).
# Whoever cannot do that returns an error, and no image.
#
# What happens: labels without a kernel are left out of the result, the one of DEFAULT included. The first image of what
# is left is what pxeboot's menu boots after ten seconds. The parser knows no TEXT: each line of the help that begins
# with a directive's name in any case, as "Default", "Kernel", "Linux" or "Append", is one. The iPXE parser logs each
# command other than kernel, initrd and boot as ignored, so the kernel of a branch that is not taken is the result.
#
# Seen on 2026-11-30, of four files (in full below), what is booted if nobody chooses, and with which parameters:
#   plain.cfg:        run, with "root=LABEL=system"
#   local-disk.cfg:   install, with "auto=true priority=critical"
#   help.cfg:         run, with "\"single\" by the Tab key for a root shell."
#   script.ipxe:      a kernel, with "auto=true priority=critical"
#
# Why it matters: this is how machines are set up that always boot from the network: the server says "local disk" until
# one is to be installed. With LinuxBoot, each restart of such a machine starts the installer, which wipes the disk if
# it asks nobody. With UEFI's iPXE or PXELINUX, the same files are right. A file for LinuxBoot must not name an
# installer as long as none is wanted. bmaas's agent is booted every time and asks whether to install, so that no boot
# file decides it.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.16.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > local-disk.cfg <<'CFG'
DEFAULT local
TIMEOUT 50

LABEL local
  LOCALBOOT 0

LABEL install
  KERNEL vmlinuz
  INITRD initrd.img
  APPEND auto=true priority=critical
CFG
cat > plain.cfg <<'CFG'
LABEL run
  KERNEL vmlinuz
  INITRD initrd.img
  APPEND root=LABEL=system

LABEL install
  KERNEL vmlinuz
  INITRD initrd.img
  APPEND auto=true priority=critical
CFG
cat > help.cfg <<'CFG'
LABEL run
  KERNEL vmlinuz
  INITRD initrd.img
  APPEND root=LABEL=system
  TEXT HELP
  The system on the disk of this machine.
  Append "single" by the Tab key for a root shell.
  ENDTEXT

LABEL install
  KERNEL vmlinuz
  INITRD initrd.img
  APPEND auto=true priority=critical
CFG
cat > script.ipxe <<'IPXE'
#!ipxe
isset ${reinstall} || goto local
kernel vmlinuz auto=true priority=critical
initrd initrd.img
boot
:local
exit
IPXE

cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/u-root/u-root/pkg/boot"
	"github.com/u-root/u-root/pkg/boot/netboot/ipxe"
	"github.com/u-root/u-root/pkg/boot/syslinux"
	"github.com/u-root/u-root/pkg/curl"
	"github.com/u-root/u-root/pkg/ulog"
)

func describe(images []boot.OSImage, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	if len(images) == 0 {
		return "nothing"
	}
	linux, ok := images[0].(*boot.LinuxImage)
	if !ok || linux.Kernel == nil {
		return "no Linux"
	}
	name := linux.Name
	if name == "" {
		name = "a kernel"
	}
	return fmt.Sprintf("%s, with %q", name, linux.Cmdline)
}

func main() {
	log.SetOutput(io.Discard)
	folder, err := os.Getwd()
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
	ctx := context.Background()
	root := &url.URL{Scheme: "file", Path: folder}
	isAsFound := true
	for _, each := range []struct{ name, found string }{
		{"plain.cfg", `run, with "root=LABEL=system"`},
		{"local-disk.cfg", `install, with "auto=true priority=critical"`},
		{"help.cfg", `run, with "\"single\" by the Tab key for a root shell."`},
		{"script.ipxe", `a kernel, with "auto=true priority=critical"`},
	} {
		var images []boot.OSImage
		var err error
		if each.name == "script.ipxe" {
			var image *boot.LinuxImage
			image, err = ipxe.ParseConfig(ctx, ulog.Null, root.JoinPath(each.name), curl.DefaultSchemes)
			images = append(images, image)
		} else {
			images, err = syslinux.ParseConfigFile(ctx, curl.DefaultSchemes, each.name, root, "")
		}
		seen := describe(images, err)
		fmt.Printf("%-17s %s\n", each.name+":", seen)
		isAsFound = isAsFound && seen == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/u-root/u-root@$version" && go mod tidy && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
