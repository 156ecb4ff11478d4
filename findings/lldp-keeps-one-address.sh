#!/usr/bin/env bash
# Shows that gopacket keeps one management address of an LLDP neighbour, and makes 5.8 W of 71.3 W over Ethernet.
#
#   findings/lldp-keeps-one-address.sh [VERSION]    tries this version of gopacket; default: v1.7.7
#
# Subject: the Go package github.com/gopacket/gopacket v1.7.7 of November 2026, layers.LinkLayerDiscoveryInfo.
#
# What one would guess: the layer has all that the frame says. A system should send a management address TLV for each
# address by which it can be managed, as IPv4 and IPv6 (IEEE 802.1AB-2016 section 8.5.9). LLDP-MED gives power in tenths
# of a watt up to 102.3 W, and the meaning of the source's two bits depends on who speaks: for a source of power (PSE),
# 1 is its primary supply; for a powered device, 1 is power from the PSE (ANSI/TIA-1057 section 10.2.5).
#
# What happens: MgmtAddress is one struct, and each TLV overwrites what the one before has left. DecodeMedia multiplies
# the 16-bit number by 100 in 16 bits, which overflows above 65.5 W. It adds 128 to the source, by which its name is
# found among those of a PSE, for the types 1 and 3, and these are the powered devices. No error is returned.
#
# Seen on 2026-11-30, with a frame that lldpd 1.0.16 sent from an interface with 10.0.0.7 and fd00::7, as a PSE with
# 71.3 W. Another lldpd showed both addresses, "Primary Power Source" and 71300 for such a one:
#   by the standards:     addresses 10.0.0.7, fd00::7; PSE, source 1 (primary), 71300 mW
#   by gopacket:          addresses fd00::7; Type 2 PSE Device, source PSE, 5764 mW
#
# Why it matters: an inventory that finds a machine's switch by LLDP has the IPv4 address or the IPv6 one, by the order
# of the TLVs; a new release of the switch's software or a second address changes which, and a controller of the other
# family cannot reach it. A power budget adds up too little for the largest consumers. The TLVs themselves are in
# LinkLayerDiscovery.Values, to be read by oneself.
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
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// sent is what lldpd sent, TLV for TLV.
const sent = "0180c200000e" + "020000000001" + "88cc" +
	"020704020000000001" + "040703020000000001" + "06020078" + // chassis, port, time to live
	"0a066c6561662d37" + "0c0b6c65616620737769746368" + "0e04009c0080" + // name, description, capabilities
	"100c05010a000007020000000300" + "101811" + "02fd000000000000000000000000000007" + "020000000300" + // addresses
	"080465746831" + "fe0900120f030100000000" + "fe0900120f010080000036" + // port's name, aggregation, MAC and PHY
	"fe0c00120f020702051300ff00ff" + "fe070012bb01003f04" + "fe070012bb041302c9" + "0000" // power, LLDP-MED: power

// describe reads the frame as the standards have it.
func describe(frame []byte) string {
	var addresses []string
	var power string
	for at := 14; at+2 <= len(frame); {
		kind, length := frame[at]>>1, int(frame[at]&1)<<8|int(frame[at+1])
		value := frame[at+2 : at+2+length]
		if kind == 8 {
			addresses = append(addresses, net.IP(value[2:1+value[0]]).String())
		}
		if kind == 127 && slices.Equal(value[:4], []byte{0x00, 0x12, 0xbb, 4}) {
			role := map[byte]string{0: "PSE", 1: "powered device"}[value[4]>>6]
			source := map[byte]string{1: "primary", 2: "backup"}[value[4]>>4&3]
			power = fmt.Sprintf("%s, source %d (%s), %d mW", role, value[4]>>4&3, source,
				(int(value[5])<<8|int(value[6]))*100)
		}
		at += 2 + length
	}
	return fmt.Sprintf("addresses %s; %s", strings.Join(addresses, ", "), power)
}

func describeByPackage(frame []byte) (string, error) {
	packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	info, isFound := packet.Layer(layers.LayerTypeLinkLayerDiscoveryInfo).(*layers.LinkLayerDiscoveryInfo)
	if failure := packet.ErrorLayer(); failure != nil {
		return "", failure.Error()
	}
	if !isFound {
		return "", fmt.Errorf("no layer")
	}
	media, err := info.DecodeMedia()
	power := media.PowerViaMDI
	return fmt.Sprintf("addresses %s; %s, source %s, %d mW",
		net.IP(info.MgmtAddress.Address), power.Type, power.Source, power.Value), err
}

func main() {
	frame, err := hex.DecodeString(sent)
	if err != nil {
		panic(err)
	}
	byPackage, err := describeByPackage(frame)
	if err != nil {
		fmt.Println("this has changed:", err)
		os.Exit(1)
	}
	seen := []string{"by the standards:     " + describe(frame), "by gopacket:          " + byPackage}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"by the standards:     addresses 10.0.0.7, fd00::7; PSE, source 1 (primary), 71300 mW",
		"by gopacket:          addresses fd00::7; Type 2 PSE Device, source PSE, 5764 mW",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/gopacket/gopacket@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
