#!/usr/bin/env bash
# Shows that gopacket makes a hardware address of the UUID by which UEFI firmware names itself to a DHCPv6 server.
#
#   findings/gopacket-takes-uuids-for-addresses.sh [VERSION]    tries this version of gopacket; default: v1.7.7
#
# Subject: the Go package github.com/gopacket/gopacket/layers v1.7.7 of November 2026, DHCPv6DUID. The messages are made
# by github.com/insomniacslk/dhcp/dhcpv6 of September 2026, which reads them right as well.
#
# What one would guess: a client's identifier (DUID) is of one of four types, and the fields of a type are set for that
# type only. Type 4 is a UUID of 128 bits (RFC 6355). A machine that starts by UEFI over IPv6 has that: EDK II takes the
# system's UUID of SMBIOS, unless it was built to take the link-layer address, or there is no UUID (NetworkPkg,
# Dhcp6Utility.c).
#
# What happens: the package knows three types, and reads what is none of the first two as the third. Of the UUID, the
# first two bytes are the "hardware type", and the other 14 the LinkLayerAddress, in the field and in all texts. The
# type's name is "Unknown", and there is no error.
#
# Seen on 2026-12-01:
#   DUID-LL      by dhcpv6: DUID-LL{HWType=Ethernet HWAddr=54:48:10:01:02:03}
#                by gopacket: LL, hardware [0 1], address 54:48:10:01:02:03
#   DUID-UUID    by dhcpv6: DUID-UUID{0x4c4c4544003510468051b4c04f4a4d33}
#                by gopacket: Unknown, hardware [76 76], address 45:44:00:35:10:46:80:51:b4:c0:4f:4a:4d:33
#
# Why it matters: a program that watches a network for new machines files those that start by UEFI under an address that
# no card has, next to those which it has seen after their system started, by another DUID: one machine is two, and the
# UUID, by which the inventory could have joined them, is in pieces. Look at Type first, and for 4 join HardwareType and
# LinkLayerAddress again. bmaas learns of machines from their agents, and reads no DHCP.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.7.7}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// A message by which a client looks for servers.
func solicit(id dhcpv6.DUID) []byte {
	message, err := dhcpv6.NewMessage(dhcpv6.WithClientID(id))
	must(err)
	message.MessageType = dhcpv6.MessageTypeSolicit
	return message.ToBytes()
}

func byDhcpv6(data []byte) string {
	message, err := dhcpv6.MessageFromBytes(data)
	must(err)
	return message.Options.ClientID().String()
}

func byGopacket(data []byte) string {
	var message layers.DHCPv6
	must(message.DecodeFromBytes(data, gopacket.NilDecodeFeedback))
	for _, option := range message.Options {
		if option.Code == layers.DHCPv6OptClientID {
			var id layers.DHCPv6DUID
			must(id.DecodeFromBytes(option.Data))
			return fmt.Sprintf("%s, hardware %d, address %s", id.Type, id.HardwareType, id.LinkLayerAddress)
		}
	}
	return "none"
}

func main() {
	address := net.HardwareAddr{0x54, 0x48, 0x10, 1, 2, 3}
	uuid := [16]byte{0x4c, 0x4c, 0x45, 0x44, 0, 0x35, 0x10, 0x46, 0x80, 0x51, 0xb4, 0xc0, 0x4f, 0x4a, 0x4d, 0x33}
	var seen []string
	for _, each := range []struct {
		name string
		id   dhcpv6.DUID
	}{
		{"DUID-LL", &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: address}},
		{"DUID-UUID", &dhcpv6.DUIDUUID{UUID: uuid}},
	} {
		data := solicit(each.id)
		seen = append(seen, fmt.Sprintf("%-12s by dhcpv6: %s", each.name, byDhcpv6(data)))
		seen = append(seen, fmt.Sprintf("%-12s by gopacket: %s", "", byGopacket(data)))
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"DUID-LL      by dhcpv6: DUID-LL{HWType=Ethernet HWAddr=54:48:10:01:02:03}",
		"             by gopacket: LL, hardware [0 1], address 54:48:10:01:02:03",
		"DUID-UUID    by dhcpv6: DUID-UUID{0x4c4c4544003510468051b4c04f4a4d33}",
		"             by gopacket: Unknown, hardware [76 76], address 45:44:00:35:10:46:80:51:b4:c0:4f:4a:4d:33",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{
  go mod init finding
  go get "github.com/gopacket/gopacket@$version" github.com/insomniacslk/dhcp@v0.0.0-20260901064844-234b97448fae
  go mod tidy
  go build -o finding .
} > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
