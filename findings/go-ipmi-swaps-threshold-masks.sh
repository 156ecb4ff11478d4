#!/usr/bin/env bash
# Shows that go-ipmi swaps the bytes of the masks in a sensor's record: thresholds that can be read count as settable.
#
#   findings/go-ipmi-swaps-threshold-masks.sh [VERSION]    tries this version of go-ipmi; default: v0.9.1
#
# Subject: the Go package github.com/bougou/go-ipmi/pkg/types v0.9.1, which reads sensor data records (SDR) of BMCs.
#
# What one would guess: a mask of two bytes has its least significant byte first, as all of IPMI does (v2.0 section
# 13.5.1), and these masks by name ("LS byte first", tables 43-1 and 43-2). Bits 5:0 of the mask in bytes 19 and 20 name
# the thresholds that can be read, bits 13:8 those that can be set. FreeIPMI's and ipmitool's sources have it so. The
# module brings the specification along, in specs/.
#
# What happens: ParseAssertLower, ParseDeassertUpper and ParseReading take bits 15:8 from the first byte, bits 7:0 from
# the second. Where thresholds can be read and not set, none can be read, and each limit in the record prints as
# "unspecified". "Upper critical going high" becomes "lower non-critical going high". States 0 to 6 of discrete sensors
# change places with states 8 to 14. Two things hide it: PackSDR swaps in the same way, so records come back as they
# were, and some BMCs let all thresholds be read and set, with a mask of 3F 3F.
#
# Seen on 2026-11-30, with a +3.3V sensor that has the values of a real one (kontron/python-ipmi issue 124):
#   events 14 7A, by the specification: lcr- lnr- ucr+ unr+
#   events 14 7A, by go-ipmi:           lcr+ lnc+ lnr+ lnr- unc- unr-
#   thresholds 3F 3F: 6 readable, 6 settable, upper critical 0xe1/3.763
#   thresholds 3F 00: 0 readable, 6 settable, upper critical unspecified
#   packed again: the same bytes
#
# Why it matters: who takes limits and alerts for a fleet from the records of its BMCs misses those of BMCs that do not
# let them be set, and waits for events that never come, without an error. The answer of "Get Sensor Thresholds", whose
# mask has one byte, is read rightly: ask each sensor.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.9.1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bougou/go-ipmi/pkg/types"
)

// record returns a full sensor record (IPMI v2.0 table 43-1) with these bytes 19 and 20.
func record(readable, settable byte) []byte {
	fixed := []byte{
		0xef, 0x0e, 0x51, 0x01, 49, // record ID, SDR version, full sensor, length of what follows
		0x20, 0x00, 59, // owner, LUN, sensor number
		7, 43, 0x7d, 0x64, // entity, instance, initialization, capabilities
		0x02, 0x01, // voltage, threshold
		0x14, 0x7a, 0x14, 0x7a, readable, settable, // masks
		0x00, 0x04, 0x00, // unsigned, volts
		0x00, 16, 0x00, 163, 0x00, 0x00, 0xd0, // linear, M = 16, B = 163, result times 10^-3
		0x07, 196, 221, 176, 255, 0, // nominal reading, normal and possible range
		230, 225, 221, 161, 166, 176, 1, 1, // UNR, UCR, UNC, LNR, LCR, LNC, hysteresis
		0, 0, 0, 0xc6, // reserved, OEM, six characters
	}
	return append(fixed, "+3.3V "...)
}

func parse(data []byte) *types.SDR {
	sdr, err := types.ParseSDR(data, 0xffff)
	if err != nil {
		fmt.Println("this has changed:", err)
		os.Exit(1)
	}
	return sdr
}

// expectEvents returns the events in bits 11:0 of a mask (IPMI v2.0 table 43-1, bytes 15 and 16).
func expectEvents(mask uint16) (events []string) {
	for bit, name := range strings.Fields("lnc- lnc+ lcr- lcr+ lnr- lnr+ unc- unc+ ucr- ucr+ unr- unr+") {
		if mask>>bit&1 == 1 {
			events = append(events, name)
		}
	}
	return events
}

func readEvents(full *types.SDRFull) (events []string) {
	for _, event := range full.Mask.SupportedThresholdEvents().FilterAssert() {
		events = append(events, event.String())
	}
	slices.Sort(events)
	return events
}

func main() {
	both, readOnly := record(0x3f, 0x3f), record(0x3f, 0x00)
	seen := []string{
		"events 14 7A, by the specification: " + strings.Join(expectEvents(0x7a14), " "),
		"events 14 7A, by go-ipmi:           " + strings.Join(readEvents(parse(both).Full), " "),
	}
	for _, data := range [][]byte{both, readOnly} {
		full := parse(data).Full
		seen = append(seen, fmt.Sprintf("thresholds % X: %d readable, %d settable, upper critical %s", data[18:20],
			len(full.Mask.ReadableThresholds()), len(full.Mask.SettableThresholds()),
			full.ThresholdValueStr(types.SensorThresholdType_UCR)))
	}
	packed, err := types.PackSDR(parse(readOnly))
	if err != nil || !bytes.Equal(packed, readOnly) {
		seen = append(seen, fmt.Sprintf("packed again: % X, error %v", packed, err))
	} else {
		seen = append(seen, "packed again: the same bytes")
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"events 14 7A, by the specification: lcr- lnr- ucr+ unr+",
		"events 14 7A, by go-ipmi:           lcr+ lnc+ lnr+ lnr- unc- unr-",
		"thresholds 3F 3F: 6 readable, 6 settable, upper critical 0xe1/3.763",
		"thresholds 3F 00: 0 readable, 6 settable, upper critical unspecified",
		"packed again: the same bytes",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/bougou/go-ipmi/pkg/types@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
