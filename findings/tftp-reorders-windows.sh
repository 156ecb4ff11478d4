#!/usr/bin/env bash
# Shows that the npm package tftp writes a window's blocks in the order of their arrival, and calls the file complete.
#
#   findings/tftp-reorders-windows.sh [VERSION]    tries this version of tftp; default: 0.1.2
#
# Subject: the npm package tftp 0.1.2 (gagle/node-tftp), client and server, with its default window of four blocks.
#
# What one would guess: two datagrams of one window that change places do no harm. UDP does not keep their order, and
# for that each block has a number (RFC 1350 section 5). A receiver that finds a number out of sequence acknowledges the
# last block that it received correctly (RFC 7440 section 4) and gets the rest once more; or it sorts what it has.
#
# What happens: the receiver collects a window and means to sort it, but asks for `_windowsSize` where the field is
# called `_windowSize`, and undefined > 1 is false. So it sorts only after a timeout. It acknowledges the block that
# came last, and emits all of them in the order of arrival. Client and server share the code: get and put are alike.
# No error, no timeout, no retransmission; the length is right, and equals the size that was negotiated (tsize).
#
# Seen on 2026-11-30, with Node.js 24, the package at both ends, and a relay on 127.0.0.1 that lets block 7 of 12 pass
# block 6 once. Each letter is one block:
#   get, in order:       ABCDEFGHIJKL, 16248 bytes, no error
#   get, 7 before 6:     ABCDEGFHIJKL, 16248 bytes, no error
#   put, 7 before 6:     ABCDEGFHIJKL, 16248 bytes, no error
#   acknowledged by get: 0 4 8 12
# The client atftp 0.8.0 got the right file through such a relay: it acknowledged block 5 once more when 7 came.
#
# Why it matters: bonded links, several receive queues and routed paths do reorder datagrams, rarely. A kernel or an
# image then has two blocks of 1468 bytes exchanged, which no size tells and which a boot shows much later, if at all.
# With windowSize 1 each block is waited for, and it cannot happen; or compare a digest. bmaas speaks no TFTP.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.1.2}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { once } = require("node:events");
const dgram = require("node:dgram");
const fs = require("node:fs");
const tftp = require("tftp");

const DATA = 3;
const ACK = 4;
const BLOCK_SIZE = 1468;
const localhost = "127.0.0.1";
const content = Buffer.concat([..."ABCDEFGHIJKL"].map((letter, i) => Buffer.alloc(i < 11 ? BLOCK_SIZE : 100, letter)));

async function bind() {
  const socket = dgram.createSocket("udp4");
  socket.bind(0, localhost);
  await once(socket, "listening");
  return socket;
}

/** Relays one transfer. With isSwapping, block 6 waits until block 7 has passed. */
async function createRelay(serverPort, isSwapping) {
  const [front, back] = [await bind(), await bind()];
  const acknowledged = [];
  let clientPort;
  let transferPort = serverPort;
  let waiting;
  let isSwapped = !isSwapping;
  const pass = (message, send) => {
    const [kind, block] = [message.readUInt16BE(0), message.readUInt16BE(2)];
    if (kind === ACK) {
      acknowledged.push(block);
    }
    if (kind === DATA && block === 6 && !isSwapped) {
      waiting = message;
      isSwapped = true;
      return;
    }
    send(message);
    if (kind === DATA && block === 7 && waiting) {
      send(waiting);
      waiting = undefined;
    }
  };
  front.on("message", (message, { port }) => {
    clientPort = port;
    pass(message, (each) => back.send(each, transferPort, localhost));
  });
  back.on("message", (message, { port }) => {
    transferPort = port;
    pass(message, (each) => front.send(each, clientPort, localhost));
  });
  return {
    acknowledged,
    port: front.address().port,
    close() {
      front.close();
      back.close();
    },
  };
}

function describe(file, error) {
  const got = fs.existsSync(file) ? fs.readFileSync(file) : Buffer.alloc(0);
  let letters = "";
  for (let at = 0; at < got.length; at += BLOCK_SIZE) {
    letters += String.fromCharCode(got[at]);
  }
  return `${letters}, ${got.length} bytes, ${error ? error.message : "no error"}`;
}

async function main() {
  fs.mkdirSync("root");
  fs.writeFileSync("root/image", content);
  const free = await bind();
  const serverPort = free.address().port;
  free.close();
  await once(free, "close");
  const server = tftp.createServer({ host: localhost, port: serverPort, root: "root" });
  server.on("request", (request) => request.on("error", (error) => console.log("server:", error.message)));
  server.listen();
  await once(server, "listening");

  const seen = [];
  let acknowledged;
  for (const [name, method, isSwapping, from, to, file] of [
    ["get, in order:      ", "get", false, "image", "got", "got"],
    ["get, 7 before 6:    ", "get", true, "image", "got2", "got2"],
    ["put, 7 before 6:    ", "put", true, "root/image", "put", "root/put"],
  ]) {
    const relay = await createRelay(serverPort, isSwapping);
    const client = tftp.createClient({ host: localhost, port: relay.port });
    const error = await new Promise((resolve) => client[method](from, to, resolve));
    await new Promise((resolve) => setTimeout(resolve, 300)); // The server closes its file.
    relay.close();
    seen.push(`${name} ${describe(file, error)}`);
    if (name.startsWith("get, 7")) {
      acknowledged = relay.acknowledged;
    }
  }
  seen.push(`acknowledged by get: ${acknowledged.join(" ")}`);
  console.log(seen.join("\n"));
  const found = [
    "get, in order:       ABCDEFGHIJKL, 16248 bytes, no error",
    "get, 7 before 6:     ABCDEGFHIJKL, 16248 bytes, no error",
    "put, 7 before 6:     ABCDEGFHIJKL, 16248 bytes, no error",
    "acknowledged by get: 0 4 8 12",
  ];
  const isAsFound = seen.join("\n") === found.join("\n");
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
}

main().catch((error) => {
  console.error("could not be tried:", error);
  process.exit(2);
});
JS
{ npm init --yes && npm install --no-audit --no-fund "tftp@$version"; } > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
timeout 60 node --no-deprecation main.js || exit $(( $? == 124 ? 2 : $? ))
