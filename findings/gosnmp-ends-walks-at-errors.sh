#!/usr/bin/env bash
# Shows that a walk by gosnmp returns half a table, without an error, when the agent answers one request with an error.
#
#   findings/gosnmp-ends-walks-at-errors.sh [VERSION]    tries this version of gosnmp; default: v1.47.0
#
# Subject: the Go package github.com/gosnmp/gosnmp v1.47.0, Walk, WalkAll, BulkWalk and BulkWalkAll, by which exporters
# read switches, power distribution units and management controllers.
#
# What one would guess: a walk returns all of a table, or an error. An agent may answer a request with the error status
# genErr, if it cannot process a variable for any other reason than that there is none, or with tooBig (RFC 3416
# sections 4.2.2 and 4.2.3). A table ends with a variable beyond it, or with endOfMibView; of the errors, only
# SNMPv1's noSuchName says that there is nothing more (RFC 1157 section 4.1.3). net-snmp's snmpwalk prints "Error in
# packet" and fails.
#
# What happens: walk() looks at the status of each response. For each of eighteen errors it logs "Walk terminated with",
# which nobody sees who has not set a Logger, leaves the loop, and returns nil. A Get returns such a response without an
# error as well, but with its status; a walk returns variables only.
#
# Seen on 2026-11-30, with an agent on 127.0.0.1 that has six interfaces, and answers what would begin behind the third
# one with the error:
#   no error   BulkWalkAll: 6 of 6 rows, error <nil>   WalkAll: 6 of 6 rows, error <nil>
#   genErr     BulkWalkAll: 3 of 6 rows, error <nil>   WalkAll: 3 of 6 rows, error <nil>
#   tooBig     BulkWalkAll: 3 of 6 rows, error <nil>   WalkAll: 3 of 6 rows, error <nil>
#
# Why it matters: genErr is what an agent answers when the module that it asks for a sensor does not, and it comes and
# goes. The rest of the ports, outlets or disks then look unplugged: a check "all ports are up" passes, and an inventory
# deletes what it did not get. Nothing tells such a walk from one of a device with three ports, so compare it with what
# was there before, or with a number such as ifNumber. bmaas speaks no SNMP.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v1.47.0}
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
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gosnmp/gosnmp"
)

const (
	ifDescr    = ".1.3.6.1.2.1.2.2.1.2"
	beyond     = ".1.3.6.1.2.1.2.2.1.3.1"
	rows       = 6
	rowsAtOnce = 3
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// answer tells the agent's variables behind the one that is asked for.
func answer(asked string, count int) []gosnmp.SnmpPDU {
	index := 0
	if rest, ok := strings.CutPrefix(asked, ifDescr+"."); ok {
		index, _ = strconv.Atoi(rest)
	}
	var variables []gosnmp.SnmpPDU
	for len(variables) < count && index < rows {
		index++
		variables = append(variables, gosnmp.SnmpPDU{
			Name: fmt.Sprintf("%s.%d", ifDescr, index), Type: gosnmp.OctetString, Value: fmt.Sprintf("port %d", index),
		})
	}
	if len(variables) < count {
		variables = append(variables, gosnmp.SnmpPDU{Name: beyond, Type: gosnmp.Integer, Value: 6})
	}
	return variables
}

// serve answers requests; a request behind the third row gets the error once it is set.
func serve(socket *net.UDPConn, status *atomic.Uint32) {
	buffer := make([]byte, 65536)
	for {
		length, from, err := socket.ReadFromUDP(buffer)
		if err != nil {
			return
		}
		request, err := (&gosnmp.GoSNMP{}).SnmpDecodePacket(buffer[:length])
		must(err)
		asked := request.Variables[0].Name
		response := &gosnmp.SnmpPacket{
			Version: request.Version, Community: request.Community, PDUType: gosnmp.GetResponse, RequestID: request.RequestID,
		}
		count := 1
		if request.PDUType == gosnmp.GetBulkRequest {
			count = int(request.MaxRepetitions)
		}
		if status.Load() != 0 && asked == fmt.Sprintf("%s.%d", ifDescr, rowsAtOnce) {
			response.Error, response.ErrorIndex = gosnmp.SNMPError(status.Load()), 1
			response.Variables = []gosnmp.SnmpPDU{{Name: asked, Type: gosnmp.Null}}
		} else {
			response.Variables = answer(asked, count)
		}
		packet, err := response.MarshalMsg()
		must(err)
		_, err = socket.WriteToUDP(packet, from)
		must(err)
	}
}

func describe(variables []gosnmp.SnmpPDU, err error) string {
	return fmt.Sprintf("%d of %d rows, error %v", len(variables), rows, err)
}

func main() {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(err)
	var status atomic.Uint32
	go serve(socket, &status)
	client := &gosnmp.GoSNMP{
		Target: "127.0.0.1", Port: uint16(socket.LocalAddr().(*net.UDPAddr).Port), Community: "public",
		Version: gosnmp.Version2c, Timeout: 10 * time.Second, MaxRepetitions: rowsAtOnce,
	}
	must(client.Connect())
	isAsFound := true
	for _, each := range []struct {
		name   string
		status gosnmp.SNMPError
		found  string
	}{
		{"no error", gosnmp.NoError, "6 of 6 rows, error <nil>"},
		{"genErr", gosnmp.GenErr, "3 of 6 rows, error <nil>"},
		{"tooBig", gosnmp.TooBig, "3 of 6 rows, error <nil>"},
	} {
		status.Store(uint32(each.status))
		bulk := describe(client.BulkWalkAll(ifDescr))
		one := describe(client.WalkAll(ifDescr))
		fmt.Printf("%-10s BulkWalkAll: %s   WalkAll: %s\n", each.name, bulk, one)
		isAsFound = isAsFound && bulk == each.found && one == each.found
	}
	if !isAsFound {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/gosnmp/gosnmp@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
timeout 60 ./finding || exit $(( $? == 124 ? 2 : $? ))
