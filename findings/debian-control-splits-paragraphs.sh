#!/usr/bin/env bash
# Shows that pault.ag/go/debian puts a blank line behind each field of several lines, so that dpkg refuses what it
# wrote, or takes the rest for another package.
#
#   findings/debian-control-splits-paragraphs.sh [VERSION]    tries this version of the package; default: v0.21.4
#
# Subject: the Go package pault.ag/go/debian/control v0.21.4, ParagraphReader and Paragraph.WriteTo, for lists of
# packages, control files and the like; Marshal and Encoder write by it, too.
#
# What one would guess: a paragraph that is read and written is the same paragraph. A value may go on in lines that
# begin with a space, as the description of nearly every package does; an empty line in it is " .". Lines of spaces only
# are not allowed within a value, and a reader may take them for the end of the paragraph (Debian Policy 4.7, section
# 5.1; deb822(5)).
#
# What happens: Next() ends each such value with a line feed. WriteTo() replaces all line feeds in a value by a line
# feed and a space, the last one included, and then writes a line feed: so there is a line of one space behind the
# value. Of two empty lines in a value, the second one becomes such a line as well, since "\n \n" is replaced where it
# does not overlap. Each further reading and writing adds a line. No error is returned.
#
# Seen on 2026-11-30, with one paragraph of five fields, of which Description is the third, on Debian 12:
#   original:               6 lines, dpkg-deb: all
#   read and written:       7 lines, dpkg-deb: blank line in value of field 'Description'
#   thrice:                 9 lines, dpkg-deb: blank line in value of field 'Description'
#
# Why it matters: who filters a repository's list of packages for a site's mirror, or changes the version in a control
# file, writes one that Go's package and apt 2.6 read, and that dpkg does not: dpkg-deb refuses it, and Dpkg::Index, on
# which dpkg's scripts are built, finds a package without an architecture, and a nameless one. With fields of one line,
# as in most tests, all is well. Remove the line feed at the end of each value before WriteTo. bmaas reads and writes no
# such files.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.21.4}
command -v dpkg-deb > /dev/null || { echo "could not be tried: no dpkg-deb" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod LC_ALL=C

cat > main.go <<'GO'
// Writes the paragraph of the first argument as it reads it, as often as the second argument says.
package main

import (
	"bytes"
	"os"
	"strconv"

	"pault.ag/go/debian/control"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	content, err := os.ReadFile(os.Args[1])
	must(err)
	times, err := strconv.Atoi(os.Args[2])
	must(err)
	for range times {
		reader, err := control.NewParagraphReader(bytes.NewReader(content), nil)
		must(err)
		paragraph, err := reader.Next()
		must(err)
		var written bytes.Buffer
		must(paragraph.WriteTo(&written))
		content = written.Bytes()
	}
	_, err = os.Stdout.Write(content)
	must(err)
}
GO
{ go mod init finding && go get "pault.ag/go/debian@$version" && go build -o rewrite .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }

# Tells what dpkg-deb makes of the control file $1.
build() {
  mkdir -p package/DEBIAN
  cp "$1" package/DEBIAN/control
  if dpkg-deb --build package package.deb > build.log 2>&1; then
    dpkg-deb --field package.deb Architecture
  else
    grep --only-matching "blank line in value of field 'Description'" build.log || cat build.log
  fi
}

printf '%s\n' "Package: site-firmware" "Version: 1.4-1" "Description: firmware of this site" \
  " For the disks of all racks." "Maintainer: Site <site@example.com>" "Architecture: all" > original
./rewrite original 1 > once
./rewrite original 3 > thrice
seen="original:               6 lines, dpkg-deb: $(build original)
read and written:       $(wc -l < once) lines, dpkg-deb: $(build once)
thrice:                 $(wc -l < thrice) lines, dpkg-deb: $(build thrice)"
echo "$seen"
if [[ $seen != "original:               6 lines, dpkg-deb: all
read and written:       7 lines, dpkg-deb: blank line in value of field 'Description'
thrice:                 9 lines, dpkg-deb: blank line in value of field 'Description'" ]]; then
  echo "this has changed"
  exit 1
fi
echo "as found"
