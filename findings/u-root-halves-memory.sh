#!/usr/bin/env bash
# Shows that u-root tells the management controller of an Open Compute machine that each memory module of 32 GiB or more
# has 32767 MiB, and that 288 cores are 32.
#
#   findings/u-root-halves-memory.sh [VERSION]    tries this version of u-root; default: v0.16.0
#
# Subject: the Go packages github.com/u-root/u-root/pkg/ipmi/ocp and pkg/smbios v0.16.0: GetOemIpmiDimmInfo() and
# GetOemIpmiProcessorInfo(), of which systemboot sends the results to the controller at each start.
#
# What one would guess: the size of a module is what smbios.MemoryDevice.GetSizeBytes() says. In SMBIOS the field for it
# has 15 bits: "if the size is 32 GB-1 MB or greater, the field value is 7FFFh and the actual size is stored in the
# Extended Size field" (DSP0134, "Memory Device (Type 17)"). The message to the controller has 32 bits for it. For cores
# it has 8 bits, and one would guess that a number which does not fit in is not sent.
#
# What happens: DIMMSize is the field as it is, so 7FFFh. The number of cores, which is read from the field of 16 bits
# where it has to be, is cut to 8. No error is returned.
#
# Seen on 2026-12-01, with tables of SMBIOS 3.2:
#   module of 16 GiB       smbios: 16384 MiB       to the controller: 16384 MiB
#   module of 64 GiB       smbios: 65536 MiB       to the controller: 32767 MiB
#   module of 256 GiB      smbios: 262144 MiB      to the controller: 32767 MiB
#   socket of 96 cores     smbios: 96              to the controller: 96
#   socket of 288 cores    smbios: 288             to the controller: 32
#
# Why it matters: servers of today have modules of 64 GiB and more. The controller's inventory, which is what one has of
# a machine that is off, shows half or an eighth of their memory, all of them alike, so that a module of the wrong size
# is not found. Modules of 16 GiB, as in a test, are right. bmaas's agent asks Linux and SMBIOS on the machine.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.16.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/ipmi/ocp"
	"github.com/u-root/u-root/pkg/smbios"
)

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

// A table of SMBIOS: fields by their offsets, and strings.
func table(kind byte, handle uint16, length int, fields map[int]any, texts ...string) []byte {
	data := make([]byte, length)
	data[0], data[1] = kind, byte(length)
	binary.LittleEndian.PutUint16(data[2:], handle)
	for offset, value := range fields {
		_, err := binary.Encode(data[offset:], binary.LittleEndian, value)
		must(err)
	}
	for _, text := range texts {
		data = append(append(data, text...), 0)
	}
	if len(texts) == 0 {
		data = append(data, 0)
	}
	return append(data, 0)
}

func systemInformation() []byte {
	return table(1, 1, 0x1b, map[int]any{4: uint8(1)}, "Manufacturer")
}

func memoryDevice(handle uint16, mebibytes uint32) []byte {
	size, extended := uint16(min(mebibytes, 0x7fff)), uint32(0)
	if size == 0x7fff {
		extended = mebibytes
	}
	return table(17, handle, 0x54, map[int]any{
		0x0c: size, 0x10: uint8(1), 0x11: uint8(2), 0x12: uint8(smbios.MemoryDeviceTypeDDR5), 0x1c: extended,
	}, "DIMM_A0", "_Node0_Channel0_Dimm0")
}

func processor(handle uint16, cores uint16) []byte {
	return table(4, handle, 0x30, map[int]any{
		0x05: uint8(3), 0x23: uint8(min(cores, 0xff)), 0x24: uint8(min(cores, 0xff)), 0x25: uint8(min(cores, 0xff)),
		0x2a: cores, 0x2c: cores, 0x2e: cores,
	})
}

func main() {
	entry := smbios.Entry64{
		Anchor: [5]uint8{'_', 'S', 'M', '3', '_'}, Length: 0x18, SMBIOSMajorVersion: 3, SMBIOSMinorVersion: 2, Revision: 1,
	}
	entryData, err := entry.MarshalBinary()
	must(err)
	info, err := smbios.ParseInfo(entryData, slices.Concat(systemInformation(),
		memoryDevice(2, 16<<10), memoryDevice(3, 64<<10), memoryDevice(4, 256<<10),
		processor(5, 96), processor(6, 288), table(127, 7, 4, nil)))
	must(err)
	modules, err := info.GetMemoryDevices()
	must(err)
	sentModules, err := ocp.GetOemIpmiDimmInfo(info)
	must(err)
	processors, err := info.GetProcessorInfo()
	must(err)
	sentProcessors, err := ocp.GetOemIpmiProcessorInfo(info)
	must(err)

	var seen []string
	for i, name := range []string{"module of 16 GiB", "module of 64 GiB", "module of 256 GiB"} {
		seen = append(seen, fmt.Sprintf("%-22s smbios: %-15s to the controller: %d MiB",
			name, fmt.Sprintf("%d MiB", modules[i].GetSizeBytes()>>20), sentModules[i].DIMMSize))
	}
	for i, name := range []string{"socket of 96 cores", "socket of 288 cores"} {
		seen = append(seen, fmt.Sprintf("%-22s smbios: %-15d to the controller: %d",
			name, processors[i].GetCoreCount(), sentProcessors[i].CoreNumber))
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		"module of 16 GiB       smbios: 16384 MiB       to the controller: 16384 MiB",
		"module of 64 GiB       smbios: 65536 MiB       to the controller: 32767 MiB",
		"module of 256 GiB      smbios: 262144 MiB      to the controller: 32767 MiB",
		"socket of 96 cores     smbios: 96              to the controller: 96",
		"socket of 288 cores    smbios: 288             to the controller: 32",
	}
	if !slices.Equal(seen, found) {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/u-root/u-root@$version" && go mod tidy && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
