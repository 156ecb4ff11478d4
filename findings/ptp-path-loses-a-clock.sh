#!/usr/bin/env bash
# Shows that Facebook's PTP package leaves out the last clock of a path trace over IPv4, and makes up one more if
# something follows the path.
#
#   findings/ptp-path-loses-a-clock.sh [VERSION]
#
# Tries this version of the module; default: v0.0.0-20260822211804-f81aedc1c1e3.
#
# Subject: the Go package github.com/facebook/time/ptp/protocol of August 2026, Announce messages with a PATH_TRACE TLV,
# which the package itself writes.
#
# What one would guess: the path has as many clocks as the TLV's length says: "The value of the lengthField is 8N", as
# the package's own comment has it, with 8 bytes for each clock. linuxptp divides the length by 8. What is behind the
# TLV, or that nothing is, plays no part. A message that is written and read is the same message.
#
# What happens: PathTraceTLV.UnmarshalBinary is handed the rest of the packet. Its loop goes on to "i*8 <= length",
# which is one clock too many, and ends early at "pos+8 >= len(b)", which is one too few where the packet ends with the
# path. With the two bytes that PTP has at the end of packets over IPv6 both even out. No error is returned.
#
# Seen on 2026-12-01:
#   sent over IPv4:               aabbcc.fffe.000001 aabbcc.fffe.000002   read: aabbcc.fffe.000001
#   sent over IPv4:               aabbcc.fffe.000001   read: none
#   the same over IPv6:           aabbcc.fffe.000001   read: aabbcc.fffe.000001
#   with the summer time behind:  aabbcc.fffe.000001   read: aabbcc.fffe.000001 000900.1400.00000e
#
# Why it matters: the path tells through which clocks a machine has its time, and a boundary clock finds by it that its
# own time came back to it. The last one is the switch next to the machine, which is what one wants to know when the
# machines of a rack drift. The identity that is made up is the next TLV's head and content, and looks like a clock that
# nobody can find. Tests over IPv6, or of one packet captured there, are right; the package's fuzz test leaves out
# messages with this TLV.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.0.0-20260822211804-f81aedc1c1e3}
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

	ptp "github.com/facebook/time/ptp/protocol"
)

const announceBytes, headBytes, summerTimeBytes = 64, 4, 20

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// write returns an Announce message with the path, and the offset of summer time behind it if asked.
func write(path []ptp.ClockIdentity, withSummerTime bool) []byte {
	head := ptp.TLVHead{TLVType: ptp.TLVPathTrace, LengthField: uint16(8 * len(path))}
	tlvs := []ptp.TLV{&ptp.PathTraceTLV{TLVHead: head, PathSequence: path}}
	length := announceBytes + headBytes + 8*len(path)
	if withSummerTime {
		head = ptp.TLVHead{TLVType: ptp.TLVAlternateTimeOffsetIndicator, LengthField: summerTimeBytes}
		tlvs = append(tlvs, &ptp.AlternateTimeOffsetIndicatorTLV{TLVHead: head, CurrentOffset: 3600, DisplayName: "CEST"})
		length += headBytes + summerTimeBytes
	}
	message := ptp.Announce{TLVs: tlvs}
	message.SdoIDAndMsgType = ptp.NewSdoIDAndMsgType(ptp.MessageAnnounce, 0)
	message.Version = ptp.MajorVersion
	message.MessageLength = uint16(length)
	packet, err := message.MarshalBinary()
	must(err)
	return packet
}

func join(path []ptp.ClockIdentity) string {
	names := []string{}
	for _, each := range path {
		names = append(names, each.String())
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// describe returns the path that was sent, and what the package reads from the packet.
func describe(how string, path []ptp.ClockIdentity, packet []byte) string {
	decoded, err := ptp.DecodePacket(packet)
	must(err)
	read := decoded.(*ptp.Announce).TLVs[0].(*ptp.PathTraceTLV).PathSequence
	return fmt.Sprintf("%-29s %s   read: %s", how+":", join(path), join(read))
}

func main() {
	two := []ptp.ClockIdentity{0xaabbccfffe000001, 0xaabbccfffe000002}
	one := two[:1]
	seen := []string{
		describe("sent over IPv4", two, write(two, false)),
		describe("sent over IPv4", one, write(one, false)),
		describe("the same over IPv6", one, append(write(one, false), 0, 0)),
		describe("with the summer time behind", one, write(one, true)),
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"sent over IPv4:               aabbcc.fffe.000001 aabbcc.fffe.000002   read: aabbcc.fffe.000001",
		"sent over IPv4:               aabbcc.fffe.000001   read: none",
		"the same over IPv6:           aabbcc.fffe.000001   read: aabbcc.fffe.000001",
		"with the summer time behind:  aabbcc.fffe.000001   read: aabbcc.fffe.000001 000900.1400.00000e",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/facebook/time@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
