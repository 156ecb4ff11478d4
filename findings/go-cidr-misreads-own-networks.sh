#!/usr/bin/env bash
# Shows that go-cidr makes IPv6 addresses of the IPv4 networks that a machine has itself, and that its previous network
# overlaps with the one that it was asked about.
#
#   findings/go-cidr-misreads-own-networks.sh [VERSION]    tries this version of go-cidr; default: v1.1.1
#
# Subject: the Go package github.com/apparentlymart/go-cidr/cidr v1.1.1, by which Terraform and others count networks.
#
# What one would guess: a net.IPNet is a network, whether net.ParseCIDR made it or net.InterfaceAddrs, which returns the
# machine's address with the mask. AddressRange "returns the first and last addresses in the given CIDR range".
# PreviousSubnet returns the network "in the IP space just lower than the start", as NextSubnet returns one behind the
# end: neither has an address in common with it.
#
# What happens: net.InterfaceAddrs has IPv4 addresses in 16 bytes with a mask of 4, as net.IPv4 has. AddressRange and
# Host count the bits of the prefix from the beginning of the 16 bytes, and take the machine's address for that of the
# network. PreviousSubnet subtracts one from the network's address and cuts that off at the new prefix: if the new
# network is larger, it may have the old one in it. No error is returned.
#
# Seen on 2026-12-01:
#   10.3.0.0/24 by ParseCIDR:       10.3.0.0 to 10.3.0.255, host 8 is 10.3.0.8
#   10.3.0.7/24 as an interface's:  10.3.0.7 to 0:ff:ffff:ffff:ffff:ffff:ffff:ffff, host 8 is 0:8::ffff:a03:7
#   127.0.0.1/8 by InterfaceAddrs:  127.0.0.1 to ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, host 8 is 0:8::ffff:7f00:1
#   /24 before 10.0.128.64/26:      10.0.128.0/24, which has 10.0.128.64 in it
#   /24 behind 10.0.128.64/26:      10.0.129.0/24
#
# Why it matters: a DHCP or a provisioning server asks for the networks that it is connected to, and gives out addresses
# of them. Here it has a range that ends in IPv6, and hosts at addresses that are nobody's. A plan that counts networks
# downwards gives a rack addresses that another one has. Tests use ParseCIDR, and networks of one size. Take
# IPNet{IP: n.IP.Mask(n.Mask), Mask: n.Mask}, which has 4 bytes, and let VerifyNoOverlap look at what comes out. bmaas
# does not use it.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.1.1}
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

	"github.com/apparentlymart/go-cidr/cidr"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func parse(text string) *net.IPNet {
	_, network, err := net.ParseCIDR(text)
	must(err)
	return network
}

// findLoopback returns 127.0.0.1/8 as Go's standard library has it.
func findLoopback() *net.IPNet {
	addresses, err := net.InterfaceAddrs()
	must(err)
	for _, each := range addresses {
		if network, ok := each.(*net.IPNet); ok && each.String() == "127.0.0.1/8" {
			return network
		}
	}
	must(fmt.Errorf("no interface has 127.0.0.1/8"))
	return nil
}

func describe(network *net.IPNet, how string) string {
	first, last := cidr.AddressRange(network)
	host, err := cidr.Host(network, 8)
	must(err)
	return fmt.Sprintf("%-31s %s to %s, host 8 is %s", network.String()+" "+how+":", first, last, host)
}

func main() {
	part := parse("10.0.128.64/26")
	previous, _ := cidr.PreviousSubnet(part, 24)
	next, _ := cidr.NextSubnet(part, 24)
	overlap := "apart from it"
	if previous.Contains(part.IP) {
		overlap = fmt.Sprintf("which has %s in it", part.IP)
	}
	seen := []string{
		describe(parse("10.3.0.0/24"), "by ParseCIDR"),
		describe(&net.IPNet{IP: net.IPv4(10, 3, 0, 7), Mask: net.CIDRMask(24, 32)}, "as an interface's"),
		describe(findLoopback(), "by InterfaceAddrs"),
		fmt.Sprintf("/24 before %s:      %s, %s", part, previous, overlap),
		fmt.Sprintf("/24 behind %s:      %s", part, next),
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"10.3.0.0/24 by ParseCIDR:       10.3.0.0 to 10.3.0.255, host 8 is 10.3.0.8",
		"10.3.0.7/24 as an interface's:  10.3.0.7 to 0:ff:ffff:ffff:ffff:ffff:ffff:ffff, host 8 is 0:8::ffff:a03:7",
		"127.0.0.1/8 by InterfaceAddrs:  127.0.0.1 to ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, host 8 is 0:8::ffff:7f00:1",
		"/24 before 10.0.128.64/26:      10.0.128.0/24, which has 10.0.128.64 in it",
		"/24 behind 10.0.128.64/26:      10.0.129.0/24",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/apparentlymart/go-cidr@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
