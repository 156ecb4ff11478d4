#!/usr/bin/env bash
# Shows that insomniacslk/dhcp finds no search list in what ISC dhcpd sends for three domains that lie in one another.
#
#   findings/dhcp-loses-the-search-list.sh [VERSION]
#
# Tries this version of the package; default: v0.0.0-20260901064844-234b97448fae.
#
# Subject: the Go packages github.com/insomniacslk/dhcp/dhcpv4 and rfc1035label; u-root's DHCP client uses them. The
# options are the bytes that dhcpd 4.4.3-P1 (Debian 12) sent for these lists.
#
# What one would guess: DomainSearch() returns the domains of the option 119. They are compressed like names in DNS:
# a name may end with a pointer to an earlier one (RFC 3397 section 2), and the name to which it points may end with a
# pointer, too, as "a domain name" does in the message of a DNS server (RFC 1035 section 4.1.4). Where the option cannot
# be read, there is an error.
#
# What happens: labelsFromBytes follows a pointer, and returns "cannot handle nested pointers" at the next one before
# the end of the name. DomainSearch() drops that error with the whole list, and returns nil, as it does if there is no
# such option.
#
# Seen on 2026-11-30, for each option the names in it by RFC 1035, and what comes out:
#   "\aexample\x03com\x00\x03lab\xc0\x00"
#     [example.com lab.example.com]
#     DomainSearch: [example.com lab.example.com]
#   "\aexample\x03com\x00\x03lab\xc0\x00\x05rack1\xc0\r"
#     [example.com lab.example.com rack1.lab.example.com]
#     DomainSearch: <nil>
#     error that is dropped: rfc1035label: cannot handle nested pointers
#   "\x05rack1\x03lab\aexample\x03com\x00\xc0\x06\xc0\n"
#     [rack1.lab.example.com lab.example.com example.com]
#     DomainSearch: [rack1.lab.example.com lab.example.com example.com]
#
# Why it matters: the second domain is enough to compress, and the third one to nest. A site that adds the domain of a
# rack to those of the room and the house has machines without any search list, in the installer that is built upon it
# but not in the installed system, whose dhclient or systemd-networkd reads it. Then short names of servers are not
# found. The order matters as well: with the longest domain first, no pointer is nested. bmaas has no DHCP client.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.0.0-20260901064844-234b97448fae}
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

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// decode reads names by RFC 1035 section 4.1.4.
func decode(data []byte) []string {
	var names []string
	for at := 0; at < len(data); {
		var labels []string
		end := -1
		for place := at; ; {
			length := int(data[place])
			if length&0xc0 == 0xc0 {
				if end < 0 {
					end = place + 2
				}
				place = (length&0x3f)<<8 | int(data[place+1])
				continue
			}
			if length == 0 {
				if end < 0 {
					end = place + 1
				}
				break
			}
			labels = append(labels, string(data[place+1:place+1+length]))
			place += 1 + length
		}
		names = append(names, strings.Join(labels, "."))
		at = end
	}
	return names
}

func main() {
	isAsFound := true
	for _, each := range []struct{ option, found string }{
		{
			"\x07example\x03com\x00\x03lab\xc0\x00",
			"[example.com lab.example.com]\n  DomainSearch: [example.com lab.example.com]",
		},
		{
			"\x07example\x03com\x00\x03lab\xc0\x00\x05rack1\xc0\x0d",
			"[example.com lab.example.com rack1.lab.example.com]\n  DomainSearch: <nil>",
		},
		{
			"\x05rack1\x03lab\x07example\x03com\x00\xc0\x06\xc0\x0a",
			"[rack1.lab.example.com lab.example.com example.com]\n" +
				"  DomainSearch: [rack1.lab.example.com lab.example.com example.com]",
		},
	} {
		sent, err := dhcpv4.New(dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionDNSDomainSearchList, []byte(each.option))))
		must(err)
		received, err := dhcpv4.FromBytes(sent.ToBytes())
		must(err)
		seen := fmt.Sprintf("%v\n  DomainSearch: %v", decode([]byte(each.option)), received.DomainSearch())
		fmt.Printf("%q\n  %s\n", each.option, seen)
		if _, err := rfc1035label.FromBytes([]byte(each.option)); err != nil {
			fmt.Printf("  error that is dropped: %v\n", err)
		}
		isAsFound = isAsFound && seen == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/insomniacslk/dhcp@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
