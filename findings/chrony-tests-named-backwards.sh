#!/usr/bin/env bash
# Shows that Facebook's package for chrony names the wrong failed test of a time source, and that their ntpcheck lists
# all ten as failed for healthy sources.
#
#   findings/chrony-tests-named-backwards.sh [VERSION]
#
# Tries this version of the module; default: v0.0.0-20260822211804-f81aedc1c1e3.
#
# Subject: the Go module github.com/facebook/time of August 2026: ReadNTPTestFlags of ntp/chrony, and NewPeerFromChrony
# of cmd/ntpcheck/checker. chronyd 4.3 (Debian 12) answered the first two flags and the source; the others follow from
# its source text.
#
# What one would guess: the report "ntpdata" has a bit for each test that the last packet passed, and ReadNTPTestFlags
# "returns list of failed ntp test flags". chronyd shifts in the tests one after the other: 1 (duplicate), 2, 3, 5
# (authentication), 6, 7, A (maximum delay), B, C and D (synchronisation loop) (chrony, ntp_core.c, "report.tests"). So
# test 1 is the bit 9, and D the bit 0. chronyc prints them from the left, as "111 111 0111".
#
# What happens: NTPTestDescMap has the names in this order from the bit 0 on, so each test has the name of its mirror
# image: A is called "pkt_auth". And the peers of ntpcheck take the tests from the report "sources", whose flags mean
# other things (chrony, candm.h, RPY_SD_FLAG_NOSELECT and others); chronyd 4.3 sent 0, and that counts as "none passed".
#
# Seen on 2026-12-01, with a source that chronyc shows as "^*" and one whose delay is above its maxdelay:
#   111 111 1111   failed by chrony: none                      by the package: none
#   111 111 0111   failed by chrony: maximum delay             by the package: pkt_auth
#   111 011 1111   failed by chrony: authentication            by the package: tst_max_delay
#   111 111 1110   failed by chrony: synchronisation loop      by the package: pkt_dup
#   ntpcheck of the source "^*": sync, 10 failed
#
# Why it matters: who reads that authentication failed looks for keys, or for somebody who forges time, where the
# network is slow; and where keys are wrong, sees a slow network. A loop of servers, which have no time but one
# another's, is shown as a packet that came twice. An alert on failed tests fires for every source of chrony.
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
	"net"
	"os"
	"slices"
	"strings"

	"github.com/facebook/time/cmd/ntpcheck/checker"
	"github.com/facebook/time/ntp/chrony"
)

// describe returns what the package says about flags, and how chronyc prints them.
func describe(flags uint16, failed string) string {
	names := chrony.ReadNTPTestFlags(flags)
	if len(names) == 0 {
		names = []string{"none"}
	}
	printed := fmt.Sprintf("%03b %03b %04b", flags>>7&7, flags>>4&7, flags&15)
	return fmt.Sprintf("%s   failed by chrony: %-25s by the package: %s", printed, failed, strings.Join(names, ", "))
}

func main() {
	seen := []string{
		describe(0x3ff, "none"),
		describe(0x3f7, "maximum delay"),
		describe(0x3bf, "authentication"),
		describe(0x3fe, "synchronisation loop"),
	}
	address := chrony.IPAddr{IP: chrony.IPToBytes(net.IPv4(127, 0, 1, 2)), Family: chrony.IPAddrInet4}
	source := chrony.SourceData{IPAddr: &address, Stratum: 3, State: chrony.SourceStateSync, Reachability: 255}
	peer, err := checker.NewPeerFromChrony(&chrony.ReplySourceData{SourceData: source}, nil, nil)
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
	seen = append(seen, fmt.Sprintf(`ntpcheck of the source "^*": %s, %d failed`, peer.Condition, len(peer.Flashers)))
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"111 111 1111   failed by chrony: none                      by the package: none",
		"111 111 0111   failed by chrony: maximum delay             by the package: pkt_auth",
		"111 011 1111   failed by chrony: authentication            by the package: tst_max_delay",
		"111 111 1110   failed by chrony: synchronisation loop      by the package: pkt_dup",
		`ntpcheck of the source "^*": sync, 10 failed`,
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/facebook/time@$version" && go mod tidy && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
