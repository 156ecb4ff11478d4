#!/usr/bin/env bash
# Shows that go-nbd opens another disk than the one asked for, and that its list of disks is for itself only.
#
#   findings/nbd-opens-another-export.sh [VERSION]    tries this version of go-nbd; default: v0.3.2
#
# Subject: the Go package github.com/pojntfx/go-nbd v0.3.2 of October 2023, server.Handle and client.List. "Protocol" is
# doc/proto.md of the Network Block Device project, the reference that the package names.
#
# What one would guess: who asks for an export that does not exist gets an error, whatever the client has asked before:
# a client MAY send NBD_OPT_GO after NBD_OPT_INFO, each has a name of its own, and NBD_REP_ERR_UNKNOWN says that the
# chosen export does not exist (protocol, "Option types"). And NBD_OPT_LIST is answered by one NBD_REP_SERVER for each
# export, then NBD_REP_ACK; what follows the name in such a reply is a text for people ("Option reply types").
#
# What happens: Handle keeps the export that it found in one variable for the connection. If the next name is not found,
# the one before is still there: the reply has the name that was asked for, and the size and the data of the other.
# Handle also puts all exports into one NBD_REP_SERVER, so a client finds the first, and the rest in its description.
# List reads one reply and takes all in it for exports, which fits its own server; of another server it gives the first
# export. It does not look at the type of the reply: a refusal is an empty list, without an error.
#
# Seen on 2026-11-30:
#   server with               alpha, beta, gamma
#   GO missing                error 6 (unknown)
#   INFO beta, GO missing     named "missing", 512 bytes, reads bbbb
#   listed by the protocol    alpha ("\x00\x00\x00\x04beta\x00\x00\x00\x05gamma")
#   listed by client.List     alpha, beta, gamma
#   client.List elsewhere     alpha; refused: none, error <nil>
# Others saw the same: libnbd 1.14.2 read beta after opt_info and opt_go; nbdinfo --list, qemu-nbd 7.2 --list and
# nbd-client 3.24 -l showed alpha only. client.List found one of two exports of nbd-server 3.24, and none of three of
# nbdkit 1.32.5, which refuses as the client does not set NBD_FLAG_C_FIXED_NEWSTYLE.
#
# Why it matters: a client that looks at the image of a machine's kind first, and then opens the one for this machine,
# writes the wrong image or onto the wrong disk when that one has been removed, and every reply says success. An
# inventory that lists a server misses all disks but one. Use a new connection for each export. bmaas speaks no NBD.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-v0.3.2}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/pojntfx/go-nbd/pkg/backend"
	"github.com/pojntfx/go-nbd/pkg/client"
	"github.com/pojntfx/go-nbd/pkg/server"
)

const (
	greetingMagic = 0x4e42444d41474943
	optionMagic   = 0x49484156454F5054
	replyMagic    = 0x3e889045565a9
	requestMagic  = 0x25609513

	optList, optInfo, optGo            = 3, 6, 7
	repAck, repServer, repInfo         = 1, 2, 3
	repErrPolicy, repErrUnknown uint32 = 1<<31 + 2, 1<<31 + 6
	infoExport, infoName        uint16 = 0, 1
	fixedNewstyle               uint16 = 1
)

var names = []string{"alpha", "beta", "gamma"}

func must(err error) {
	if err != nil {
		fmt.Println("could not be tried:", err)
		os.Exit(2)
	}
}

func write(to io.Writer, values ...any) {
	var out bytes.Buffer
	for _, value := range values {
		if text, isText := value.(string); isText {
			value = []byte(text)
		}
		must(binary.Write(&out, binary.BigEndian, value))
	}
	_, err := to.Write(out.Bytes())
	must(err)
}

func read[T any](from io.Reader) (value T) {
	must(binary.Read(from, binary.BigEndian, &value))
	return value
}

func readBytes(from io.Reader, count int) []byte {
	content := make([]byte, count)
	_, err := io.ReadFull(from, content)
	must(err)
	return content
}

// serve lets handle answer each connection.
func serve(handle func(net.Conn)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go func() {
		for {
			connection, err := listener.Accept()
			must(err)
			go func() {
				defer connection.Close()
				handle(connection)
			}()
		}
	}()
	return listener.Addr().String()
}

func dial(address string) net.Conn {
	connection, err := net.Dial("tcp", address)
	must(err)
	must(connection.SetDeadline(time.Now().Add(20 * time.Second)))
	return connection
}

type reply struct {
	kind    uint32
	content []byte
}

// connect does the handshake of a client up to its first option.
func connect(address string) net.Conn {
	connection := dial(address)
	readBytes(connection, 18)
	write(connection, uint32(fixedNewstyle))
	return connection
}

// ask sends an option and reads its replies up to the final one.
func ask(connection net.Conn, option uint32, content string) (replies []reply) {
	write(connection, uint64(optionMagic), option, uint32(len(content)), content)
	for {
		readBytes(connection, 12)
		kind, length := read[uint32](connection), read[uint32](connection)
		replies = append(replies, reply{kind, readBytes(connection, int(length))})
		if kind == repAck || kind>>31 == 1 {
			return replies
		}
	}
}

// nameOf makes the content of INFO and GO, without information requests.
func nameOf(export string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(export)))) + export + "\x00\x00"
}

// open asks for each export by INFO, and for the last by GO; it tells what it got.
func open(address string, exports ...string) string {
	connection := connect(address)
	defer connection.Close()
	last := len(exports) - 1
	for _, each := range exports[:last] {
		ask(connection, optInfo, nameOf(each))
	}
	var name string
	var size uint64
	for _, each := range ask(connection, optGo, nameOf(exports[last])) {
		switch {
		case each.kind == repErrUnknown:
			return "error 6 (unknown)"
		case each.kind == repInfo && binary.BigEndian.Uint16(each.content) == infoExport:
			size = binary.BigEndian.Uint64(each.content[2:])
		case each.kind == repInfo && binary.BigEndian.Uint16(each.content) == infoName:
			name = string(each.content[2:])
		}
	}
	write(connection, uint32(requestMagic), uint16(0), uint16(0), uint64(1), uint64(0), uint32(4))
	header := readBytes(connection, 16)
	if code := binary.BigEndian.Uint32(header[4:]); code != 0 {
		return fmt.Sprintf("error %d on reading", code)
	}
	return fmt.Sprintf("named %q, %d bytes, reads %s", name, size, readBytes(connection, 4))
}

// list lists as the protocol has it.
func list(address string) string {
	connection := connect(address)
	defer connection.Close()
	var found []string
	for _, each := range ask(connection, optList, "") {
		if each.kind == repServer {
			length := binary.BigEndian.Uint32(each.content)
			found = append(found, fmt.Sprintf("%s (%q)", each.content[4:4+length], each.content[4+length:]))
		}
	}
	return strings.Join(found, ", ")
}

func listByPackage(address string) string {
	connection := dial(address)
	defer connection.Close()
	found, err := client.List(connection)
	if len(found) == 0 {
		return fmt.Sprintf("none, error %v", err)
	}
	return strings.Join(found, ", ")
}

// answer is a server by the protocol that knows only LIST, one reply for each export, or refuses it.
func answer(isRefusing bool) func(net.Conn) {
	return func(connection net.Conn) {
		write(connection, uint64(greetingMagic), uint64(optionMagic), fixedNewstyle)
		readBytes(connection, 4+16)
		if isRefusing {
			write(connection, uint64(replyMagic), uint32(optList), repErrPolicy, uint32(0))
		} else {
			for _, name := range names {
				write(connection, uint64(replyMagic), uint32(optList), uint32(repServer), uint32(4+len(name)))
				write(connection, uint32(len(name)), name)
			}
			write(connection, uint64(replyMagic), uint32(optList), uint32(repAck), uint32(0))
		}
		_, _ = io.Copy(io.Discard, connection)
	}
}

func main() {
	var exports []*server.Export
	for _, name := range names {
		content := bytes.Repeat([]byte(name[:1]), 512)
		exports = append(exports, &server.Export{Name: name, Backend: backend.NewMemoryBackend(content)})
	}
	address := serve(func(connection net.Conn) {
		_ = server.Handle(connection, exports, nil) // It returns an error when the client has gone.
	})
	elsewhere, refused := listByPackage(serve(answer(false))), listByPackage(serve(answer(true)))
	seen := []string{
		"server with               " + strings.Join(names, ", "),
		"GO missing                " + open(address, "missing"),
		"INFO beta, GO missing     " + open(address, "beta", "missing"),
		"listed by the protocol    " + list(address),
		"listed by client.List     " + listByPackage(address),
		"client.List elsewhere     " + elsewhere + "; refused: " + refused,
	}
	fmt.Println(strings.Join(seen, "\n"))
	found := []string{
		`server with               alpha, beta, gamma`,
		`GO missing                error 6 (unknown)`,
		`INFO beta, GO missing     named "missing", 512 bytes, reads bbbb`,
		`listed by the protocol    alpha ("\x00\x00\x00\x04beta\x00\x00\x00\x05gamma")`,
		`listed by client.List     alpha, beta, gamma`,
		`client.List elsewhere     alpha; refused: none, error <nil>`,
	}
	if strings.Join(seen, "\n") != strings.Join(found, "\n") {
		fmt.Println("this has changed")
		os.Exit(1)
	}
	fmt.Println("as found")
}
GO
{ go mod init finding && go get "github.com/pojntfx/go-nbd@$version" && go mod tidy && go build -o finding .; } \
  > go.log 2>&1 || { cat go.log >&2; exit 2; }
./finding
