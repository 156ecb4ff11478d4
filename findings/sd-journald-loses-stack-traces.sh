#!/usr/bin/env bash
# Shows that sd-journald writes a message of several lines so that journald throws the whole entry away, and counts a
# field's size in other units than bytes.
#
#   findings/sd-journald-loses-stack-traces.sh [VERSION]    tries this version of sd-journald; default: 0.3.3
#
# Subject: the npm package sd-journald 0.3.3, createBuffer(), by which its send() writes to journald. What journald
# makes of it is done here as by journald-native.c of systemd (manager_process_entry).
#
# What one would guess: a stack trace arrives as one entry of several lines. The protocol has two ways to write a field,
# and one whose value contains a line feed "must" be written in the second one: name, line feed, size in 64 bits, value
# (docs/JOURNAL_NATIVE_PROTOCOL.md, "Data Format", which names stack traces). The package has both ways.
#
# What happens: it looks for a line feed in all values but the message. Journald takes the second line of a message for
# the name of a field, and the next 8 bytes, which are text, for its size. Such a size is "too large, ignoring entry":
# all of it is gone, with its priority and its other fields, and journald tells so at its level "debug" only. send()
# calls this a success. In other fields the size is the text's length in JavaScript (UTF-16), while bytes of UTF-8
# follow, for which there is too little space then.
#
# Seen on 2026-12-01, with the fields MACHINE and SYSLOG_IDENTIFIER:
#   message of one line        stored: PRIORITY, MESSAGE "disk sda: timeout", MACHINE, SYSLOG_IDENTIFIER
#   message with stack trace   not stored: binary data block is too large, ignoring entry
#   written the second way     stored: PRIORITY, MESSAGE "Error: timeout\n    at rea…", MACHINE, SYSLOG_IDENTIFIER
#   field "Gehäuse 3\noben"    stored: PLACE "Gehäuse 3\nobe"
# systemd-journald 252 (Debian 12) stored the same of the package's datagrams. Of the second one it said, at "debug",
# "Received binary data block of 7863412909888512032 bytes is too large, ignoring entry."
#
# Why it matters: what an installer or an agent says when it fails is what has several lines. Exactly those entries are
# missing, without a trace, and the rest of the log looks complete. Send JSON, or one line after the other; journald
# reads the standard error of a service line by line. bmaas writes to standard output.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.3.3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { createBuffer } = require("sd-journald/dist/internal/internal.js");

const dataSizeMax = 768n * 1024n * 1024n;
const lineFeed = 10;

/** What journald stores of a datagram with one entry. */
function readAsJournald(datagram) {
  const fields = [];
  let rest = datagram;
  while (rest.length > 0) {
    const end = rest.indexOf(lineFeed);
    if (end <= 0) {
      break; // Trailing noise, or the end of the entry.
    }
    const line = rest.subarray(0, end).toString();
    const equals = line.indexOf("=");
    if (equals >= 0) {
      fields.push([line.slice(0, equals), line.slice(equals + 1)]);
      rest = rest.subarray(end + 1);
      continue;
    }
    if (rest.length < end + 1 + 8 + 1) {
      break;
    }
    const size = rest.readBigUInt64LE(end + 1);
    if (size > dataSizeMax) {
      return "not stored: binary data block is too large, ignoring entry";
    }
    const start = end + 1 + 8;
    const stop = start + Number(size);
    if (rest.length < stop + 1 || rest[stop] !== lineFeed) {
      break;
    }
    fields.push([line, rest.subarray(start, stop).toString()]);
    rest = rest.subarray(stop + 1);
  }
  const shorten = (value) => (value.length > 25 ? `${value.slice(0, 25)}…` : value);
  const show = ([name, value]) =>
    ["MESSAGE", "PLACE"].includes(name) ? `${name} ${JSON.stringify(shorten(value))}` : name;
  return `stored: ${fields.map(show).join(", ")}`;
}

/** A field as the protocol has it for values with a line feed. */
function createField(name, value) {
  const bytes = Buffer.from(value);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${name}\n`), size, bytes, Buffer.from("\n")]);
}

function main() {
  const error = 3;
  const fields = new Map([
    ["MACHINE", "node7"],
    ["SYSLOG_IDENTIFIER", "installer"],
  ]);
  const trace = "Error: timeout\n    at readDisk (/opt/disk.js:12:5)\n    at main (/opt/main.js:3:1)";
  const bySecondWay = Buffer.concat([
    Buffer.from("PRIORITY=3\n"),
    createField("MESSAGE", trace),
    Buffer.from("MACHINE=node7\nSYSLOG_IDENTIFIER=installer\n"),
  ]);
  const place = createBuffer(error, "fan failed", new Map([["PLACE", "Gehäuse 3\noben"]]));
  const seen = [
    ["message of one line", readAsJournald(createBuffer(error, "disk sda: timeout", fields))],
    ["message with stack trace", readAsJournald(createBuffer(error, trace, fields))],
    ["written the second way", readAsJournald(bySecondWay)],
    ['field "Gehäuse 3\\noben"', readAsJournald(place).replace(/ P.*, /, " ")],
  ].map(([name, result]) => `${name.padEnd(26)} ${result}`);
  console.log(seen.join("\n"));
  const found = [
    'message of one line        stored: PRIORITY, MESSAGE "disk sda: timeout", MACHINE, SYSLOG_IDENTIFIER',
    "message with stack trace   not stored: binary data block is too large, ignoring entry",
    'written the second way     stored: PRIORITY, MESSAGE "Error: timeout\\n    at rea…", MACHINE, SYSLOG_IDENTIFIER',
    'field "Gehäuse 3\\noben"    stored: PLACE "Gehäuse 3\\nobe"',
  ];
  const isAsFound = seen.join("\n") === found.join("\n");
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
}

try {
  main();
} catch (error) {
  console.error("could not be tried:", error);
  process.exit(2);
}
JS
# The package's socket is compiled when it is installed, and is not used here.
{ npm init --yes && npm install --no-audit --no-fund --ignore-scripts "sd-journald@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
