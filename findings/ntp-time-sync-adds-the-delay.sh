#!/usr/bin/env bash
# Shows that ntp-time-sync sets a clock that is right back by half of what the answer took, whatever the server says.
#
#   findings/ntp-time-sync-adds-the-delay.sh [VERSION]    tries this version of ntp-time-sync; default: 0.5.0
#
# Subject: the npm package ntp-time-sync 0.5.0, getTime() and now().
#
# What one would guess: the offset of the clock is half of (T2 - T1) + (T3 - T4) (RFC 5905 section 8), where the way to
# the server and the way back cancel each other out. The package's README refers to this RFC.
#
# What happens: the package adds |T2 - T1| and |T3 - T4|, halves that, and takes the sign of T3 - T4. With a clock that
# is wrong by less than the way to the server, the two differences have different signs, and where one should be taken
# from the other they are added: the result is half of the round trip, and always negative. With a clock that is wrong
# by more it is right. More samples do not help, since they all err to the same side; the package's "precision", their
# standard deviation, is small.
#
# Seen on 2026-12-01, with a server on 127.0.0.1 that is 400 ms away in each direction (values rounded to 100 ms):
#   clock is 0 ms slow       offset by RFC 5905: 0       ntp-time-sync: -400
#   clock is 200 ms slow     offset by RFC 5905: 200     ntp-time-sync: -400
#   clock is 200 ms fast     offset by RFC 5905: -200    ntp-time-sync: -400
#   clock is 1000 ms slow    offset by RFC 5905: 1000    ntp-time-sync: 1000
#
# Why it matters: machines with good clocks, which is what chrony leaves, are said to be fast by what the network takes:
# 50 ms to a far pool, more by way of a satellite or over a busy line, and a fleet's times differ by where its machines
# stand. What now() returns is worse than Date.now(). In a local network the error is below a millisecond. bmaas's
# clients correct themselves by the server's Date header, to the second.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.5.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const dgram = require("node:dgram");
const { once } = require("node:events");
const { NtpTimeSync } = require("ntp-time-sync");

const secondsTo1970 = 2208988800;
const way = 400;
const samples = [];

function readTime(buffer, offset) {
  return (buffer.readUInt32BE(offset) - secondsTo1970 + buffer.readUInt32BE(offset + 4) / 2 ** 32) * 1000;
}

function writeTime(buffer, milliseconds, offset) {
  const seconds = Math.floor(milliseconds / 1000);
  buffer.writeUInt32BE(seconds + secondsTo1970, offset);
  buffer.writeUInt32BE(Math.floor((milliseconds / 1000 - seconds) * 2 ** 32), offset + 4);
}

/** A server whose clock is ahead of the client's, and whose answers take as long in each direction. */
async function createServer(ahead) {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (request, { port, address }) => {
    const sent = readTime(request, 40);
    const answer = Buffer.alloc(48);
    answer[0] = (4 << 3) | 4; // Version 4, server.
    answer[1] = 2; // Stratum.
    answer[2] = 6;
    answer.writeInt8(-20, 3);
    writeTime(answer, sent + ahead - 5000, 16);
    request.copy(answer, 24, 40, 48);
    writeTime(answer, sent + ahead + way, 32);
    writeTime(answer, sent + ahead + way, 40);
    setTimeout(() => {
      socket.send(answer, port, address);
      const received = Date.now();
      samples.push((ahead + way + (sent + ahead + way - received)) / 2);
    }, 2 * way);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}

const round = (milliseconds) => `${Math.round(milliseconds / 100) * 100 + 0}`;

async function tryOne(ahead) {
  const socket = await createServer(ahead);
  const client = new NtpTimeSync({ servers: [`127.0.0.1:${socket.address().port}`], sampleCount: 1 });
  const { offset } = await client.getTime(true);
  socket.close();
  const name = `clock is ${Math.abs(ahead)} ms ${ahead < 0 ? "fast" : "slow"}`;
  return `${name.padEnd(24)} offset by RFC 5905: ${round(samples.at(-1)).padEnd(7)} ntp-time-sync: ${round(offset)}`;
}

async function main() {
  const seen = [];
  for (const ahead of [0, 200, -200, 1000]) {
    seen.push(await tryOne(ahead));
  }
  console.log(seen.join("\n"));
  const found = [
    "clock is 0 ms slow       offset by RFC 5905: 0       ntp-time-sync: -400",
    "clock is 200 ms slow     offset by RFC 5905: 200     ntp-time-sync: -400",
    "clock is 200 ms fast     offset by RFC 5905: -200    ntp-time-sync: -400",
    "clock is 1000 ms slow    offset by RFC 5905: 1000    ntp-time-sync: 1000",
  ];
  const isAsFound = seen.join("\n") === found.join("\n");
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
}

process.exitCode = 2; // If it ends before its end.
main().catch((error) => {
  console.error("could not be tried:", error);
  process.exit(2);
});
JS
{ npm init --yes && npm install --no-audit --no-fund "ntp-time-sync@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
