#!/usr/bin/env bash
# Shows that mdlayher/ndp cuts the prefix of an announced route down to whole bytes, so that /60 and /52 routes lead
# elsewhere.
#
#   findings/ndp-cuts-route-prefixes.sh [VERSION]    tries this version of mdlayher/ndp; default: v1.1.0
#
# Subject: the Go package github.com/mdlayher/ndp v1.1.0, ParseMessage of router advertisements with route information
# options.
#
# What one would guess: the prefix that was sent is the prefix that is read. An option of two units of eight bytes has
# eight bytes of prefix, and the prefix length says how many bits of them count (RFC 4191 section 2.3). It may be any
# from 0 to 128; sites have /48, /52, /56 and /60 as providers delegate them (RFC 6177).
#
# What happens: RouteInformation.unmarshal copies length / 8 bytes, rounded down. The bits of the last byte that is
# counted in part are zero. The length stays, so that the result is a valid prefix, another one. What the package itself
# marshals has all bits: it does not read back what it wrote. No error is returned.
#
# Seen on 2026-11-30, for advertisements that the package marshalled; "sent" is what is in the bytes:
#   sent: 2001:db8:40::/48         read: 2001:db8:40::/48
#   sent: 2001:db8:40:3000::/52    read: 2001:db8:40::/52
#   sent: 2001:db8:40:70::/60      read: 2001:db8:40::/60
#   sent: 2001:db8:40:71::/64      read: 2001:db8:40:71::/64
#   sent: fd00:0:0:1::/96          read: fd00:0:0:1::/96
#
# Why it matters: racks of a site are numbered in the very bits that are lost: the routes to all racks become the one to
# the first, so that what is for one rack goes to the router of another. A monitor that compares announcements with what
# is configured reports each of them. With whole bytes, such as /48, /56 and /64, all is well. Linux reads these
# options by itself, rightly. bmaas reads no router advertisements.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.1.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/ndp"
)

const (
	routeInformation    = 24
	sizeOfAdvertisement = 16
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func main() {
	isAsFound := true
	for _, each := range []struct{ sent, found string }{
		{"2001:db8:40::/48", "2001:db8:40::/48"},
		{"2001:db8:40:3000::/52", "2001:db8:40::/52"},
		{"2001:db8:40:70::/60", "2001:db8:40::/60"},
		{"2001:db8:40:71::/64", "2001:db8:40:71::/64"},
		{"fd00:0:0:1::/96", "fd00:0:0:1::/96"},
	} {
		prefix := netip.MustParsePrefix(each.sent).Masked()
		packet, err := ndp.MarshalMessage(&ndp.RouterAdvertisement{
			Options: []ndp.Option{&ndp.RouteInformation{
				PrefixLength: uint8(prefix.Bits()), RouteLifetime: time.Hour, Prefix: prefix.Addr(),
			}},
		})
		must(err)
		option := packet[sizeOfAdvertisement:]
		var address [16]byte
		copy(address[:], option[8:8*int(option[1])])
		sent := netip.PrefixFrom(netip.AddrFrom16(address), int(option[2]))
		if option[0] != routeInformation || sent != prefix {
			must(fmt.Errorf("%v was marshalled as %x", prefix, option))
		}
		message, err := ndp.ParseMessage(packet)
		must(err)
		route := message.(*ndp.RouterAdvertisement).Options[0].(*ndp.RouteInformation)
		read := netip.PrefixFrom(route.Prefix, int(route.PrefixLength)).String()
		fmt.Printf("sent: %-24s read: %s\n", sent, read)
		isAsFound = isAsFound && read == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/mdlayher/ndp@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
