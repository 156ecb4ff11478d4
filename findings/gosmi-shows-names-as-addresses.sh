#!/usr/bin/env bash
# Shows that gosmi shows the host names ntp1 and time1 as IPv4 addresses, others as IPv6 with letters left out, and an
# IPv4 address with a zone as something else.
#
#   findings/gosmi-shows-names-as-addresses.sh [VERSION]    tries this version of gosmi; default: v0.4.4
#
# Subject: the Go package github.com/sleepinggenius2/gosmi/models v0.4.4, FormatValue, by which collectors show what
# SNMP agents answer.
#
# What one would guess: an InetAddress may be an IPv4 or an IPv6 address, either with a zone, or a host name: its type
# is ipv4(1), ipv6(2), ipv4z(3), ipv6z(4) or dns(16). "An InetAddress value is always interpreted within the context of
# an InetAddressType value" (RFC 4001, INET-ADDRESS-MIB). Who formats a value without that type shows octets, or text
# where all octets are printable.
#
# What happens: FormatValue goes by the length. Four octets are IPv4, all others IPv6 in groups of two, of which an odd
# last one is dropped. Of 5 or 17 octets the first counts as a length and is dropped. No error is returned.
#
# Seen on 2026-12-01:
#   ipv4     192.0.2.7             192.0.2.7
#   ipv4z    169.254.0.7%3         a9fe:07:00:03
#   dns      ntp1                  110.116.112.49
#   dns      time1                 105.109.101.49
#   dns      log.example.com       6c6f:672e:6578:616d:706c:652e:636f:
#   dns      a.log.example.com     2e6c:6f67:2e65:7861:6d70:6c65:2e63:6f6d
#
# Why it matters: switches, power distribution units and controllers tell by this type which servers for logs, time and
# firmware they are set to. A check of a fleet sees there an address that is somebody else's on the Internet, and the
# same one for ntp1 of each site, which looks like a device that was tampered with. Two names that differ in the first
# of five letters are the same. Ask for the object with the type as well, and format by that. bmaas asks no SNMP agent.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.4.4}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sleepinggenius2/gosmi/models"
	"github.com/sleepinggenius2/gosmi/types"
)

func main() {
	inetAddress := models.Type{Name: "InetAddress", BaseType: types.BaseTypeOctetString}
	var seen []string
	for _, each := range []struct{ addressType, meant, octets string }{
		{"ipv4", "192.0.2.7", "\xc0\x00\x02\x07"},
		{"ipv4z", "169.254.0.7%3", "\xa9\xfe\x00\x07\x00\x00\x00\x03"},
		{"dns", "ntp1", "ntp1"},
		{"dns", "time1", "time1"},
		{"dns", "log.example.com", "log.example.com"},
		{"dns", "a.log.example.com", "a.log.example.com"},
	} {
		shown := inetAddress.FormatValue([]byte(each.octets)).String()
		seen = append(seen, fmt.Sprintf("%-8s %-21s %s", each.addressType, each.meant, shown))
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"ipv4     192.0.2.7             192.0.2.7",
		"ipv4z    169.254.0.7%3         a9fe:07:00:03",
		"dns      ntp1                  110.116.112.49",
		"dns      time1                 105.109.101.49",
		"dns      log.example.com       6c6f:672e:6578:616d:706c:652e:636f:",
		"dns      a.log.example.com     2e6c:6f67:2e65:7861:6d70:6c65:2e63:6f6d",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/sleepinggenius2/gosmi@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
