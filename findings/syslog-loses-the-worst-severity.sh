#!/usr/bin/env bash
# Shows that glossy reads the most severe messages without a severity, takes the beginning of a message for structured
# data, and writes 50 milliseconds as 500.
#
#   findings/syslog-loses-the-worst-severity.sh [VERSION]    tries this version of glossy; default: 0.1.7
#
# Subject: the npm package glossy 0.1.7, Parse and Produce, by which winston-syslog writes, and collectors of logs read.
#
# What one would guess, from RFC 5424:
# - <0> is facility kern and severity emerg, and no message is worse (section 6.2.1). Linux gives it to a kernel panic.
# - The structured data is over at the first space behind a "]" that ends an element. What follows is the message, in
#   which brackets mean nothing (section 6.3).
# - A fraction of a second is a decimal fraction: .05 is 50 milliseconds (section 6.2.3, by RFC 3339).
#
# What happens: decodePri takes the number 0 for no number, and sets neither facility nor severity. parse() looks for
# the last word of the whole message that ends with "]", and takes all up to there for structured data: those words are
# in no field, or in one that nobody wrote. Produce writes the milliseconds without zeros before them, so that times go
# back and forth within each second. No error is thrown.
#
# Seen on 2026-11-30:
#   <0>1 2026-11-30T12:00:00Z node7 kernel - - - Kernel panic
#     severity undefined, structured data none, message "Kernel panic"
#   <1>1 2026-11-30T12:00:00Z node7 kernel - - - Kernel panic
#     severity alert, structured data none, message "Kernel panic"
#   <27>1 2026-11-30T12:00:00Z node7 smartd 8 - [bmc@32473 slot="3"] Drive failed in [bay 3]: replace it
#     severity err, structured data {"bmc@32473":{"slot":"3"}}, message "Drive failed in [bay 3]: replace it"
#   <27>1 2026-11-30T12:00:00Z node7 smartd 8 - [bmc@32473 slot="3"] Drive failed, see [bay 3] of node7
#     severity err, structured data {"bmc@32473":{"slot":"3"},"bay":{}}, message "of node7"
#   5 ms: 2026-11-30T12:00:00.05Z
#   50 ms: 2026-11-30T12:00:00.50Z
#   500 ms: 2026-11-30T12:00:00.500Z
#
# Why it matters: a filter for errors and worse passes on everything but the panic, since undefined <= 3 is false.
# Messages of kernels and controllers are full of brackets ([sda], [SAT], [bay 3]); what a search or a rule for alerts
# looks for is then not there, if the sender adds structured data, and is if it does not. Two lines of one second change
# places. bmaas writes its log as JSON, and parses no syslog.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.1.7}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { Parse, Produce } = require("glossy");

const seen = [];
const parse = (message) => {
  const { severity, structuredData, message: text } = Parse.parse(message);
  const data = structuredData ? JSON.stringify(structuredData) : "none";
  seen.push(message, `  severity ${severity}, structured data ${data}, message "${text}"`);
};
parse("<0>1 2026-11-30T12:00:00Z node7 kernel - - - Kernel panic");
parse("<1>1 2026-11-30T12:00:00Z node7 kernel - - - Kernel panic");
parse('<27>1 2026-11-30T12:00:00Z node7 smartd 8 - [bmc@32473 slot="3"] Drive failed in [bay 3]: replace it');
parse('<27>1 2026-11-30T12:00:00Z node7 smartd 8 - [bmc@32473 slot="3"] Drive failed, see [bay 3] of node7');

const producer = new Produce({ type: "RFC5424" });
for (const milliseconds of [5, 50, 500]) {
  const date = new Date(Date.UTC(2026, 10, 30, 12, 0, 0, milliseconds));
  const message = producer.produce({ facility: "daemon", severity: "err", host: "node7", appName: "agent", date });
  seen.push(`${milliseconds} ms: ${message.split(" ")[1]}`);
}

console.log(seen.join("\n"));
const found = [
  "<0>1 2026-11-30T12:00:00Z node7 kernel - - - Kernel panic",
  '  severity undefined, structured data none, message "Kernel panic"',
  "<1>1 2026-11-30T12:00:00Z node7 kernel - - - Kernel panic",
  '  severity alert, structured data none, message "Kernel panic"',
  '<27>1 2026-11-30T12:00:00Z node7 smartd 8 - [bmc@32473 slot="3"] Drive failed in [bay 3]: replace it',
  '  severity err, structured data {"bmc@32473":{"slot":"3"}}, message "Drive failed in [bay 3]: replace it"',
  '<27>1 2026-11-30T12:00:00Z node7 smartd 8 - [bmc@32473 slot="3"] Drive failed, see [bay 3] of node7',
  '  severity err, structured data {"bmc@32473":{"slot":"3"},"bay":{}}, message "of node7"',
  "5 ms: 2026-11-30T12:00:00.05Z",
  "50 ms: 2026-11-30T12:00:00.50Z",
  "500 ms: 2026-11-30T12:00:00.500Z",
];
const isAsFound = seen.join("\n") === found.join("\n");
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
{ npm init --yes && npm install --no-audit --no-fund "glossy@$version"; } > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
