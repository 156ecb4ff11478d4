#!/usr/bin/env bash
# Shows that insomniacslk/dhcp ignores "option overload": options in the boot file's field are lost, and name a file.
#
#   findings/dhcp-ignores-option-overload.sh [VERSION]
#
# Tries this version of the package; default: v0.0.0-20260901064844-234b97448fae.
#
# Subject: the Go package github.com/insomniacslk/dhcp/dhcpv4, for clients, servers and relays; u-root uses it.
#
# What one would guess: the package reads what a DHCP server sends to a client that allows no more than 576 bytes, as
# one without option 57 does. A server may put options that do not fit into the fields `file` and `sname` (RFC 2131
# section 4.1), and tells so by option 52 (RFC 2132 section 9.3). A reader takes them after the others, `file` first.
#
# What happens: FromBytes reads `file` and `sname` as text up to the first zero, whatever option 52 says, which appears
# in types.go only by name. Options of these fields are missing, and BootFileName is the beginning of them. ToBytes
# writes that text and option 52, so who reads the packet from a relay that uses the package finds the options damaged.
#
# Seen on 2026-11-30, with an offer of dnsmasq 2.90 that has 541 bytes. tshark 4.0.17 reads router, name server and
# domain in it, and BusyBox's udhcpc 1.35.0 took them from another one that was made alike:
#   by RFC 2131:             router 10.9.0.1, DNS 10.9.0.1, domain "fleet.example.net"
#   by the package:          router none, DNS none, domain ""
#   BootFileName:            "w#\x05fleet\aexample\x03net"
#   BootFileNameOption:      "images/x86_64/bootx64.efi"
#   written, by RFC 2131:    router none, DNS none, domain ""
#
# Why it matters: one more root path or search domain in the server's configuration, and machines have an address but
# no default route; a boot program that prefers the field to option 67 asks for a file of that name. No error is
# returned. nclient4 allows 1500 bytes, so it is met with more options only; client4 and whoever reads the packets of
# other clients (relays, proxies, tests) meet it at once. A caller can parse the fields of the packet by itself.
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
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// offer returns what dnsmasq sent.
func offer() []byte {
	fields := []struct {
		length int
		digits string
	}{
		{28, "02010600e302250a00000000000000000a09000d0a09000200000000"},
		{16, "020000000015"}, // hardware address
		{64, ""},             // sname
		{128, "772305666c656574076578616d706c65036e657400057261636b31c000057261636b32c000" + // search list
			"0f11666c6565742e6578616d706c652e6e6574" + "06040a090001" + "03040a090001" + "ff"}, // domain, DNS, router
		{4, "63825363"},
		{301, "350102" + "36040a090002" + "330400000e10" + // offer, server, lease
			"4211626f6f742e6578616d706c652e6e657400" + // TFTP server
			"431a696d616765732f7838365f36342f626f6f747836342e65666900" + // boot file
			"3a0400000708" + "3b0400000c4e" + "0104ffffff00" + "1c040a0900ff" + // times, subnet mask, broadcast
			"d237687474703a2f2f626f6f742e6578616d706c652e6e65742f696d616765732f7838365f36342f666c6565742d32303236" +
			"2d31312d33302f" + // PXELINUX path prefix
			"d1427078656c696e75782e6366672f7261636b732f7261636b312f64656661756c742d666f722d616c6c2d6d616368696e65" +
			"732d6f662d746869732d7261636b2e636667" + // PXELINUX configuration file
			"d004f100747e" + // PXELINUX magic
			"1144687474703a2f2f626f6f742e6578616d706c652e6e65742f696d616765732f7838365f36342f666c6565742d32303236" +
			"2d31312d33302f726f6f742e7371756173686673" + // root path
			"2a080a0900050a090006" + "340101" + "ff"}, // NTP servers, overload: file
	}
	var packet []byte
	for _, field := range fields {
		data, err := hex.DecodeString(field.digits)
		if err != nil || len(data) > field.length {
			panic("the packet is wrong")
		}
		packet = append(packet, append(data, make([]byte, field.length-len(data))...)...)
	}
	return packet
}

// readOptions reads all options as RFC 2131 section 4.1 has it.
func readOptions(packet []byte) map[byte][]byte {
	options := map[byte][]byte{}
	read := func(field []byte) {
		for at := 0; at < len(field) && field[at] != 255; {
			if field[at] == 0 {
				at++
				continue
			}
			end := at + 2 + int(field[at+1])
			options[field[at]] = append(options[field[at]], field[at+2:end]...)
			at = end
		}
	}
	read(packet[240:])
	if overload := options[52]; len(overload) == 1 {
		if overload[0]&1 != 0 {
			read(packet[108:236])
		}
		if overload[0]&2 != 0 {
			read(packet[44:108])
		}
	}
	return options
}

func describe(router, dns []net.IP, domain string) string {
	name := func(addresses []net.IP) string {
		if len(addresses) == 0 {
			return "none"
		}
		return addresses[0].String()
	}
	return fmt.Sprintf("router %s, DNS %s, domain %q", name(router), name(dns), domain)
}

func describeByStandard(packet []byte) string {
	options := readOptions(packet)
	addresses := func(code byte) (found []net.IP) {
		if len(options[code]) == 4 {
			found = append(found, net.IP(options[code]))
		}
		return found
	}
	return describe(addresses(3), addresses(6), string(options[15]))
}

func main() {
	parsed, err := dhcpv4.FromBytes(offer())
	if err != nil {
		fmt.Println("this has changed:", err)
		os.Exit(1)
	}
	seen := []string{
		"by RFC 2131:             " + describeByStandard(offer()),
		"by the package:          " + describe(parsed.Router(), parsed.DNS(), parsed.DomainName()),
		fmt.Sprintf("BootFileName:            %q", parsed.BootFileName),
		fmt.Sprintf("BootFileNameOption:      %q", parsed.BootFileNameOption()),
		"written, by RFC 2131:    " + describeByStandard(parsed.ToBytes()),
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		`by RFC 2131:             router 10.9.0.1, DNS 10.9.0.1, domain "fleet.example.net"`,
		`by the package:          router none, DNS none, domain ""`,
		`BootFileName:            "w#\x05fleet\aexample\x03net"`,
		`BootFileNameOption:      "images/x86_64/bootx64.efi"`,
		`written, by RFC 2131:    router none, DNS none, domain ""`,
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/insomniacslk/dhcp/dhcpv4@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
