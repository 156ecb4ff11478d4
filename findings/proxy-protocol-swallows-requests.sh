#!/usr/bin/env bash
# Shows that @balena/proxy-protocol-parser writes headers that say "this connection is the proxy's own" and that their
# length is 3 kB or 9 kB, and that it reads the address of a client out of those that carry none.
#
#   findings/proxy-protocol-swallows-requests.sh [VERSION]    tries this version of the package; default: 1.0.2
#
# Subject: the npm package @balena/proxy-protocol-parser 1.0.2, v2_encode and decode, with the Go package
# github.com/pires/go-proxyproto v0.12.0 at the other end. "Specification" is HAProxy's doc/proxy-protocol.txt.
#
# What one would guess: a server that is told of a client by v2_encode sees that client, and after the header the
# client's bytes. The byte 13 of a header is 0x21 for PROXY, and 0x20 for LOCAL: the proxy's own connection, for example
# a health check, of which the receiver "must use the real connection endpoints". The bytes 15 and 16 are the length of
# what follows, in network order: 12 for IPv4, 36 for IPv6 (Specification, section 2.2). In version 1 the family is
# TCP4, TCP6 or UNKNOWN; of the latter, all up to the end of the line is to be ignored (section 2.1).
#
# What happens: v2_encode writes 0x20, and assigns the length to the first of the two bytes, so that it is 3072 or 9216.
# The receiver keeps the proxy's address, takes what the client sends for more of the header, and goes on behind its
# first 3060 bytes; go-proxyproto refuses more than 4096. decode reads neither the command nor the length, so it gets
# back what v2_encode was given. It takes any family but TCP4 for IPv6, and the end of the line for an address. No error
# is thrown.
#
# Seen on 2026-11-30, for a client 192.0.2.1 with a request of 10000 bytes:
#   v1_encode, IPv4      go-proxyproto: source 192.0.2.1:51000, then 10000 bytes
#                        decode: source "192.0.2.1"
#   v2_encode, IPv4      go-proxyproto: source the proxy itself, then 6940 bytes
#                        decode: source "192.0.2.1"
#   v2_encode, IPv6      go-proxyproto: error: proxyproto: invalid length
#                        decode: source "2001:db8::1"
#   LOCAL                go-proxyproto: source the proxy itself, then 10000 bytes
#                        decode: source "192.0.2.7"
#   PROXY UNKNOWN        go-proxyproto: source the proxy itself, then 10000 bytes
#                        decode: source "\r\n"
#
# Why it matters: a proxy by this package loses the first 3 kB of every connection, most often all of a TLS hello or a
# request, so that the server waits for more; it never learns the client's address. Its own decoder is content with the
# header, so a test of both passes. The other way round, a proxy's own connections are counted as clients: HAProxy
# begins its health checks with PROXY UNKNOWN in version 1. v1_encode is right. bmaas reads both versions with a parser
# of its own (src/rpc/connections/proxy-header.ts).
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-1.0.2}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
// Reads a header and what follows from the standard input.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/pires/go-proxyproto"
)

func main() {
	reader := bufio.NewReader(os.Stdin)
	header, err := proxyproto.Read(reader)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	rest, err := io.ReadAll(reader)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	source := "the proxy itself"
	if !header.Command.IsLocal() {
		source = header.SourceAddr.String()
	}
	fmt.Printf("source %s, then %d bytes\n", source, len(rest))
}
GO
cat > main.js <<'JS'
"use strict";
const { execFileSync } = require("node:child_process");
const { decode, v1_encode, v2_encode } = require("@balena/proxy-protocol-parser");

const request = Buffer.alloc(10000, "x");
const client = { protocol: "tcp", remotePort: 51000, localPort: 443 };
const fourth = { ...client, remoteFamily: "IPv4", remoteAddress: "192.0.2.1", localAddress: "192.0.2.9" };
const sixth = { ...client, remoteFamily: "IPv6", remoteAddress: "2001:db8::1", localAddress: "2001:db8::9" };

const read = (header) =>
  execFileSync("./reader", { input: Buffer.concat([header, request]), encoding: "utf8" }).trim();
const readHere = (header) => JSON.stringify(decode(Buffer.concat([header, request])).remoteAddress);

const seen = [];
const add = (name, header) => {
  seen.push(`${name.padEnd(20)} go-proxyproto: ${read(header)}`);
  seen.push(`${" ".repeat(20)} decode: source ${readHere(header)}`);
};
add("v1_encode, IPv4", v1_encode(fourth));
add("v2_encode, IPv4", v2_encode(fourth));
add("v2_encode, IPv6", v2_encode(sixth));
// LOCAL, with addresses that are to be ignored.
const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const addresses = [192, 0, 2, 7, 192, 0, 2, 9, 0, 7, 1, 187];
add("LOCAL", Buffer.from([...signature, 0x20, 0x11, 0, addresses.length, ...addresses]));
add("PROXY UNKNOWN", Buffer.from("PROXY UNKNOWN\r\n"));

console.log(seen.join("\n"));
const found = [
  "v1_encode, IPv4      go-proxyproto: source 192.0.2.1:51000, then 10000 bytes",
  '                     decode: source "192.0.2.1"',
  "v2_encode, IPv4      go-proxyproto: source the proxy itself, then 6940 bytes",
  '                     decode: source "192.0.2.1"',
  "v2_encode, IPv6      go-proxyproto: error: proxyproto: invalid length",
  '                     decode: source "2001:db8::1"',
  "LOCAL                go-proxyproto: source the proxy itself, then 10000 bytes",
  '                     decode: source "192.0.2.7"',
  "PROXY UNKNOWN        go-proxyproto: source the proxy itself, then 10000 bytes",
  '                     decode: source "\\r\\n"',
];
const isAsFound = seen.join("\n") === found.join("\n");
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
{
  go mod init finding && go get github.com/pires/go-proxyproto@v0.12.0 && go build -o reader . &&
    npm init --yes && npm install --no-audit --no-fund "@balena/proxy-protocol-parser@$version"
} > install.log 2>&1 || { cat install.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
