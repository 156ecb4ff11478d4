#!/usr/bin/env bash
# Shows that hashicorp/mdns finds one of two machines whose services stand in one answer, and none whose address stands
# before its service.
#
#   findings/mdns-finds-the-last-of-two.sh [VERSION]    tries this version of hashicorp/mdns; default: v1.0.7
#
# Subject: the Go package github.com/hashicorp/mdns v1.0.7, Query.
#
# What one would guess: Query yields each service whose records arrive. An answer may hold any number of them, in any
# order: a responder puts together as many as fit into one packet (RFC 6762 section 6.4), and a proxy or reflector
# answers for several machines. To one question for PTR records, the SRV, TXT and address records of all instances that
# it names are to be added (RFC 6763 section 12.1). Two services of one machine share its address record.
#
# What happens: query() goes through all records of a packet, and keeps in the variable `inp` the entry of the last one.
# Only that one is looked at afterwards: is it complete, it is yielded. The others are complete as well, and are never
# looked at again unless a later packet ends with one of their records. An address that comes before the SRV record is
# stored under the host's name, and replaced when the SRV record makes that name an alias of the service. Query returns
# no error.
#
# Seen on 2026-11-30, by multicast on the loopback interface, with a responder that sends one packet in answer to the
# question, and nothing else:
#   one machine          n1 at 192.0.2.1
#   two machines         n2 at 192.0.2.2
#   two of one machine   spare at 192.0.2.1
#   address before SRV   nothing
#
# Why it matters: whoever looks for agents or controllers on a network sees some of them, others at the next try, and
# concludes that the rest is off. With one service for each machine that answers for itself it works, as in the
# package's own tests; its own server puts the address before TXT. Add up what several queries yield, and do not take a
# missing entry for a missing machine. bmaas's machines are told the server's address, and look for nothing by mDNS.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.0.7}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/mdns"
	"github.com/miekg/dns"
)

const service = "_agent._tcp.local."

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 120}
}

func ptr(instance string) dns.RR {
	return &dns.PTR{Hdr: header(service, dns.TypePTR), Ptr: instance + "." + service}
}

func srv(instance, host string) dns.RR {
	return &dns.SRV{Hdr: header(instance+"."+service, dns.TypeSRV), Port: 8443, Target: host + ".local."}
}

func txt(instance string) dns.RR {
	return &dns.TXT{Hdr: header(instance+"."+service, dns.TypeTXT), Txt: []string{"v=1"}}
}

func a(host string, last byte) dns.RR {
	return &dns.A{Hdr: header(host+".local.", dns.TypeA), A: net.IPv4(192, 0, 2, last)}
}

// find asks once, answers that by the records, and returns what Query yields.
func find(loopback *net.Interface, answer, extra []dns.RR) string {
	group := &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	responder, err := net.ListenMulticastUDP("udp4", loopback, group)
	must(err)
	defer responder.Close()
	go func() {
		buffer := make([]byte, 65536)
		for {
			length, from, err := responder.ReadFromUDP(buffer)
			if err != nil {
				return
			}
			var question dns.Msg
			if question.Unpack(buffer[:length]) != nil || question.Response || question.Question[0].Name != service {
				continue
			}
			response := dns.Msg{Answer: answer, Extra: extra}
			response.Response, response.Authoritative = true, true
			packet, err := response.Pack()
			must(err)
			_, err = responder.WriteToUDP(packet, from)
			must(err)
			return
		}
	}()
	entries := make(chan *mdns.ServiceEntry, 16)
	err = mdns.Query(&mdns.QueryParam{
		Service: "_agent._tcp", Timeout: 2 * time.Second, Interface: loopback, Entries: entries, DisableIPv6: true,
		Logger: log.New(io.Discard, "", 0),
	})
	must(err)
	close(entries)
	var found []string
	for entry := range entries {
		name, _, _ := strings.Cut(entry.Name, ".")
		found = append(found, fmt.Sprintf("%s at %s", name, entry.AddrV4))
	}
	sort.Strings(found)
	if len(found) == 0 {
		return "nothing"
	}
	return strings.Join(found, ", ")
}

func main() {
	loopback, err := net.InterfaceByName("lo")
	must(err)
	isAsFound := true
	for _, each := range []struct {
		name          string
		answer, extra []dns.RR
		found         string
	}{
		{"one machine", []dns.RR{ptr("n1")}, []dns.RR{srv("n1", "n1"), txt("n1"), a("n1", 1)}, "n1 at 192.0.2.1"},
		{
			"two machines", []dns.RR{ptr("n1"), ptr("n2")},
			[]dns.RR{srv("n1", "n1"), txt("n1"), a("n1", 1), srv("n2", "n2"), txt("n2"), a("n2", 2)}, "n2 at 192.0.2.2",
		},
		{
			"two of one machine", []dns.RR{ptr("n1"), ptr("spare")},
			[]dns.RR{srv("n1", "n1"), srv("spare", "n1"), txt("n1"), txt("spare"), a("n1", 1)}, "spare at 192.0.2.1",
		},
		{"address before SRV", []dns.RR{ptr("n1")}, []dns.RR{a("n1", 1), srv("n1", "n1"), txt("n1")}, "nothing"},
	} {
		seen := find(loopback, each.answer, each.extra)
		fmt.Printf("%-20s %s\n", each.name, seen)
		isAsFound = isAsFound && seen == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/hashicorp/mdns@$version" && go mod tidy && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
timeout 60 ./finding || exit $(( $? == 124 ? 2 : $? ))
