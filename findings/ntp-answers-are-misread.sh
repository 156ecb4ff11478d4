#!/usr/bin/env bash
# Shows that one NTP client of npm makes up the fraction of a second, that another one takes a precision of 0.1 us for
# 10^73 ms, and that both take the time of a server that says it has none.
#
#   findings/ntp-answers-are-misread.sh [VERSION]    tries this version of @hapi/sntp; default: 4.0.0
#
# Subject: the npm packages @hapi/sntp 4.0.0, time() and offset(), and @destinationstransfers/ntp 2.0.0.
#
# What one would guess, from RFC 5905 and RFC 4330:
# - A timestamp is 32 bits of seconds and 32 bits of fraction. In an answer of 48 bytes, the receive timestamp is at 32
#   to 39, and the transmit timestamp at 40 to 47 (RFC 5905 section 7.3).
# - The precision is a signed power of two of seconds: the byte 0xe9 is -23, which is 0.12 microseconds.
# - A server whose leap indicator is 3 has no time to give, and one of stratum 0 sends a "kiss code", such as RATE for a
#   client that asks too often. A client takes neither for the time (RFC 4330 sections 5 and 8; RFC 5905 section 7.4).
#
# What happens: @destinationstransfers/ntp takes the seconds of the receive timestamp, and for the fraction the first
# half of the transmit timestamp, its seconds. So the milliseconds are the same in every answer, and grow by one in 50
# days. @hapi/sntp raises 2 to the byte as if it were unsigned. It names the stratum 0 "death" and the leap indicator 3
# "alarm", and finds such answers valid: offset() returns what to set the clock by. The other one reads neither. No
# error is thrown.
#
# Seen on 2026-11-30, with a server on 127.0.0.1 whose clock says 2030-06-15 12:00:00.250 (and 1970 before it is set):
#   clock is set    server: 2030-06-15T12:00:00.250Z
#                   @hapi/sntp: 2030-06-15T12:00, no-warning, secondary, precision 1.38e+73 ms
#                   @destinationstransfers/ntp: 2030-06-15T12:00:00.958Z
#   alarm, not set  server: 1970-01-01T00:01:00.250Z
#                   @hapi/sntp: 1970-01-01T00:01, alarm, death, precision 1.38e+73 ms
#                   @destinationstransfers/ntp: 1970-01-01T00:01:00.514Z
#   kiss code RATE  server: 2030-06-15T12:00:00.250Z
#                   @hapi/sntp: 2030-06-15T12:00, no-warning, death, precision 1.38e+73 ms
#                   @destinationstransfers/ntp: 2030-06-15T12:00:00.958Z
#
# Why it matters: machines ask for the time first, before they verify a certificate or sign a request, and their servers
# start after the same loss of power: an NTP server that has just started says "alarm", and is believed, so that
# certificates are not valid yet. The times of the other client are up to a second wrong, by an error that
# looks constant. Look at leapIndicator and stratum by oneself, and use another client than the second. bmaas's agent
# corrects itself by the Date header of its server.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-4.0.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const dgram = require("node:dgram");
const { once } = require("node:events");
const { getNetworkTime } = require("@destinationstransfers/ntp");
const sntp = require("@hapi/sntp");

const secondsTo1970 = 2208988800;
const set = { leap: 0, stratum: 2, reference: "GPS\0", time: Date.UTC(2030, 5, 15, 12, 0, 0, 250) };
const states = {
  "clock is set": set,
  "alarm, not set": { ...set, leap: 3, stratum: 0, reference: "INIT", time: Date.UTC(1970, 0, 1, 0, 1, 0, 250) },
  "kiss code RATE": { ...set, stratum: 0, reference: "RATE" },
};

/** Writes a timestamp (RFC 5905 section 6). */
function writeTime(packet, offset, time) {
  packet.writeUInt32BE(Math.floor(time / 1000) + secondsTo1970, offset);
  packet.writeUInt32BE(Math.floor(((time % 1000) / 1000) * 2 ** 32), offset + 4);
}

function createAnswer(request, { leap, stratum, reference, time }) {
  const answer = Buffer.alloc(48);
  answer[0] = (leap << 6) | (4 << 3) | 4;
  answer[1] = stratum;
  answer[2] = 6;
  answer.writeInt8(-23, 3);
  answer.write(reference, 12, "latin1");
  writeTime(answer, 16, time);
  request.copy(answer, 24, 40, 48);
  writeTime(answer, 32, time);
  writeTime(answer, 40, time);
  return answer;
}

async function serve(state) {
  const server = dgram.createSocket("udp4");
  server.on("message", (request, from) => server.send(createAnswer(request, state), from.port, from.address));
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

async function main() {
  const seen = [];
  for (const [name, state] of Object.entries(states)) {
    const port = await serve(state);
    const before = Date.now();
    const offset = await sntp.offset({ host: "127.0.0.1", port, timeout: 10000 });
    const clock = new Date(before + offset).toISOString().slice(0, 16);
    const { leapIndicator, stratum, precision } = await sntp.time({ host: "127.0.0.1", port, timeout: 10000 });
    const time = await getNetworkTime({ server: "127.0.0.1", port });
    seen.push(
      `${name.padEnd(15)} server: ${new Date(state.time).toISOString()}`,
      `${" ".repeat(15)} @hapi/sntp: ${clock}, ${leapIndicator}, ${stratum}, precision ${precision.toPrecision(3)} ms`,
      `${" ".repeat(15)} @destinationstransfers/ntp: ${time.toISOString()}`,
    );
  }
  console.log(seen.join("\n"));
  const found = [
    "clock is set    server: 2030-06-15T12:00:00.250Z",
    "                @hapi/sntp: 2030-06-15T12:00, no-warning, secondary, precision 1.38e+73 ms",
    "                @destinationstransfers/ntp: 2030-06-15T12:00:00.958Z",
    "alarm, not set  server: 1970-01-01T00:01:00.250Z",
    "                @hapi/sntp: 1970-01-01T00:01, alarm, death, precision 1.38e+73 ms",
    "                @destinationstransfers/ntp: 1970-01-01T00:01:00.514Z",
    "kiss code RATE  server: 2030-06-15T12:00:00.250Z",
    "                @hapi/sntp: 2030-06-15T12:00, no-warning, death, precision 1.38e+73 ms",
    "                @destinationstransfers/ntp: 2030-06-15T12:00:00.958Z",
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
{ npm init --yes && npm install --no-audit --no-fund "@hapi/sntp@$version" @destinationstransfers/ntp@2.0.0; } \
  > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
