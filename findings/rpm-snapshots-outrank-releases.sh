#!/usr/bin/env bash
# Shows that go-rpmutils takes a snapshot such as 1.0^20240101 for newer than the release 1.0.1, which rpm does not.
#
#   findings/rpm-snapshots-outrank-releases.sh [VERSION]    tries this version of go-rpmutils; default: v0.4.0
#
# Subject: the Go package github.com/sassoftware/go-rpmutils v0.4.0, Vercmp and NEVRASlice, compared with
# github.com/knqyf263/go-rpm-version of August 2026, which agrees with rpm 4.18.0 (Debian 12) about all of these.
#
# What one would guess: Vercmp uses "the same algorithm as rpm uses", as its comment says. In rpm since 4.15, a caret
# makes a version newer than what stands before it, and older than any that goes on after it in another way:
# 1.0 < 1.0^20240101 < 1.0.1 (rpm-version(7), "Version comparison"; Fedora's Versioning Guidelines want it for snapshots
# that come after a release). It is the counterpart of the tilde, which Vercmp knows.
#
# What happens: a caret is dropped as any separator is. So 1.0^20240101 is compared as 1.0.20240101. With letters behind
# the caret the result is right, since letters come before numbers: 1.0^git1 < 1.0.1. No error is returned.
#
# Seen on 2026-11-30:
#   1.0~rc1               go-rpm-version: <   go-rpmutils: <   1.0
#   1.0^20240101          go-rpm-version: >   go-rpmutils: >   1.0
#   1.0^20240101          go-rpm-version: <   go-rpmutils: <   1.0^20240315
#   1.0^git20240101       go-rpm-version: <   go-rpmutils: <   1.0.1
#   1.0^20240101          go-rpm-version: <   go-rpmutils: >   1.0.1
#   1.0^20240101.abc1234  go-rpm-version: <   go-rpmutils: >   1.0.1
#   sorted by NEVRASlice: 1.0 1.0.1 1.0^20240101
#
# Why it matters: a date behind the caret is what the guidelines ask for. Whoever picks the newest package of a
# repository by this, or deletes all but the newest, keeps the snapshot: machines are not offered the release that
# replaced it, with its fixes, or they are installed with the snapshot for good. Versions without a caret are compared
# rightly. bmaas compares no package versions.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.4.0}
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

	goversion "github.com/knqyf263/go-rpm-version"
	"github.com/sassoftware/go-rpmutils"
)

var signs = map[int]string{-1: "<", 0: "=", 1: ">"}

func main() {
	isAsFound := true
	for _, each := range []struct{ first, second, found string }{
		{"1.0~rc1", "1.0", "< <"},
		{"1.0^20240101", "1.0", "> >"},
		{"1.0^20240101", "1.0^20240315", "< <"},
		{"1.0^git20240101", "1.0.1", "< <"},
		{"1.0^20240101", "1.0.1", "< >"},
		{"1.0^20240101.abc1234", "1.0.1", "< >"},
	} {
		byOther := signs[goversion.NewVersion(each.first).Compare(goversion.NewVersion(each.second))]
		seen := byOther + " " + signs[rpmutils.Vercmp(each.first, each.second)]
		fmt.Printf("%-21s go-rpm-version: %s   go-rpmutils: %s   %s\n", each.first, seen[:1], seen[2:], each.second)
		isAsFound = isAsFound && seen == each.found
	}
	packages := rpmutils.NEVRASlice{
		{Name: "agent", Epoch: "0", Version: "1.0.1", Release: "1", Arch: "x86_64"},
		{Name: "agent", Epoch: "0", Version: "1.0", Release: "1", Arch: "x86_64"},
		{Name: "agent", Epoch: "0", Version: "1.0^20240101", Release: "1", Arch: "x86_64"},
	}
	packages.Sort()
	var sorted []string
	for _, each := range packages {
		sorted = append(sorted, each.Version)
	}
	seen := strings.Join(sorted, " ")
	fmt.Println("sorted by NEVRASlice:", seen)
	if !isAsFound || seen != "1.0 1.0.1 1.0^20240101" {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{
  go mod init finding && go get "github.com/sassoftware/go-rpmutils@$version" \
    github.com/knqyf263/go-rpm-version@v0.0.0-20260811110310-1815e1f1b790 && go build -o finding .
} > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
