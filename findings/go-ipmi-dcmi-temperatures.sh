#!/usr/bin/env bash
# Shows that go-ipmi reads DCMI's -5 degrees at the air inlet as -123, and 8 of 10 processors' temperatures.
#
#   findings/go-ipmi-dcmi-temperatures.sh [VERSION]    tries this version of go-ipmi; default: v0.9.1
#
# Subject: the Go package github.com/bougou/go-ipmi/pkg/client v0.9.1, Client.GetDCMITemperatureReadingsForEntities. The
# module's own server answers it over RMCP+ on the loopback interface; only the answer to this command is ours.
#
# What one would guess: a temperature's bit 7 is the sign, bits 6:0 are the degrees, so 85h is -5; an answer has at most
# 8 temperatures and the number of all, and "Entity Instance Start" asks for the rest (DCMI v1.5 section 6.7.3, table
# 6-22; the range of -128 to +128 that it names fits no reading of 8 bits). ipmitool reads it so. The module brings the
# specification along, in specs/. A method for all of an entity's readings asks on.
#
# What happens: GetDCMITemperatureReadingsResponse.Unpack takes the byte as two's complement: 85h is -123, FFh is -1
# and not -127. The method asks once for each entity and keeps the first 8; TotalEntityInstances is thrown away. No
# error is returned. For asset tags and identifiers the same client does ask on.
#
# Seen on 2026-11-30. "ipmitool dcmi get_temp_reading" 1.8.19 showed -5 C and 10 processors from the same server:
#   asked:           37h from 0, 03h from 0
#   air inlet:       answered [-5]   by go-ipmi: [-123]
#   processors:      answered [41 42 43 44 45 46 47 48 49 50]   by go-ipmi: [41 42 43 44 45 46 47 48]
#
# Why it matters: outside air cools many data centres, and in winter the inlet is below zero: an alert by this package
# sees -123 where it is -5, and -1 for the coldest. The sign looks right, so a test with one negative number in it
# passes if its author wrote FBh. Processors, or other parts behind the eighth, are never seen to be hot. Ask by
# GetDCMITemperatureReadings with a start of 9 and so on, and for a negative value t take -128 - t.
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
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"
)

const inlet, processors = types.EntityID(0x37), types.EntityID(0x03)

var temperatures = map[types.EntityID][]int{inlet: {-5}, processors: {41, 42, 43, 44, 45, 46, 47, 48, 49, 50}}

var asked []string

// answer answers "Get Temperature Readings" for all instances of an entity, as DCMI has it.
func answer(_ context.Context, _ *handlers.HandlerContext, request []byte) ([]byte, types.CompletionCode, error) {
	asked = append(asked, fmt.Sprintf("%02Xh from %d", request[2], request[4]))
	all := temperatures[types.EntityID(request[2])]
	data := []byte{0xdc, byte(len(all)), 0}
	for instance := max(1, int(request[4])); instance <= len(all) && data[2] < 8; instance++ {
		degrees := byte(all[instance-1])
		if all[instance-1] < 0 {
			degrees = 0x80 | byte(-all[instance-1])
		}
		data = append(data, degrees, byte(instance))
		data[2]++
	}
	return data, types.CodeOK, nil
}

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func main() {
	info := bmc.DeviceInfo{DeviceID: 32, DeviceRevision: 1, FirmwareMajor: 1, IPMIVersion: 0x20}
	controller := bmc.New(info, [16]byte{1}, mock.New())
	user, err := controller.Users.Add(2, "ADMIN")
	must(err)
	user.SetPassword([]byte("ADMIN"))
	user.Enabled = true
	user.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: bmc.PrivilegeLevelAdministrator, Enabled: true}
	registry := handlers.NewRegistry()
	handlers.RegisterAllHandlers(registry)
	registry.Register(types.CommandGetDCMITemperatureReadings, handlers.HandlerFunc(answer))
	connection, err := udp.Listen("127.0.0.1:0")
	must(err)
	go server.NewServer(controller, connection, server.WithHandlerRegistry(registry)).Serve(context.Background())

	within, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	reader, err := client.NewClient("127.0.0.1", connection.LocalAddr().(*net.UDPAddr).Port, "ADMIN", "ADMIN")
	must(err)
	must(reader.Connect(within))
	readings, err := reader.GetDCMITemperatureReadingsForEntities(within, inlet, processors)
	must(err)
	must(reader.Close(within))

	read := map[types.EntityID][]int{}
	for _, reading := range readings {
		read[reading.EntityID] = append(read[reading.EntityID], int(reading.TemperatureReading))
	}
	seen := []string{"asked:           " + strings.Join(asked, ", ")}
	for _, each := range []struct {
		name   string
		entity types.EntityID
	}{{"air inlet:", inlet}, {"processors:", processors}} {
		seen = append(seen, fmt.Sprintf("%-16s answered %v   by go-ipmi: %v",
			each.name, temperatures[each.entity], read[each.entity]))
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"asked:           37h from 0, 03h from 0",
		"air inlet:       answered [-5]   by go-ipmi: [-123]",
		"processors:      answered [41 42 43 44 45 46 47 48 49 50]   by go-ipmi: [41 42 43 44 45 46 47 48]",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/bougou/go-ipmi@$version" && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
