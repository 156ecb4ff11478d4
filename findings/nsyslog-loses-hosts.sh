#!/usr/bin/env bash
# Shows that nsyslog-parser knows no host whose name is an IPv6 address, and cuts a message where it has brackets.
#
#   findings/nsyslog-loses-hosts.sh [VERSION]    tries this version of nsyslog-parser; default: 0.10.1
#
# Subject: the npm package nsyslog-parser 0.10.1, by which collectors of logs read what machines and management
# controllers send.
#
# What one would guess, from RFC 5424: HOSTNAME may be a domain name, an IPv4 or an IPv6 address. Each header field has
# its place, and an absent one is "-". The structured data has its place before the message, so that a message can have
# any brackets: behind the "-" of absent structured data everything is message.
#
# What happens: a word with a colon in it ends the header, since it is no word of [a-zA-Z0-9.$-_#%/[]()]: the host stays
# empty, as do application, process and message id, and all of it is the message. The same holds for the older format of
# BSD. If there is no structured data, the parser looks for it in the message: a bracket with name="value" in it is
# taken for that, and it and all behind it are dropped from the message. A quotation mark within a value, escaped as
# \" there, ends the search instead, and the structured data is message.
#
# Seen on 2026-12-01:
#   host 192.0.2.7            host "192.0.2.7"   app "bmc"   message "Power supply 1 failed"
#   host 2001:db8::7          host ""            app none    message "2001:db8::7 bmc 123 - - Power supply 1 failed"
#   BSD, host 2001:db8::7     host ""            app none    message "2001:db8::7 bmc: Power supply 1 failed"
#   no data, but brackets     host "node7"       app "bmc"   message "Disk failed"
#   escaped quotation mark    host "node7"       app "bmc"   message "[id@32473 slot=\"\\\"3\\\"\"] Fan bad"
# The fourth was "Disk failed [slot=3 state=\"bad\"] do not replace it before node8 is back".
#
# Why it matters: a power supply has failed somewhere. Management controllers often have addresses and no names,
# and a collector that groups by host puts all their machines under the same empty one. What is cut off is nowhere, and
# neither is an error. bmaas sends and reads no syslog.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.10.1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const parse = require("nsyslog-parser");

function tryOne(name, line) {
  const { host, appName, message, err } = parse(line);
  const app = appName === undefined ? "none" : `"${appName}"`;
  const rest = err ? `error ${err.message}` : `app ${app.padEnd(7)} message ${JSON.stringify(message)}`;
  return `${name.padEnd(25)} host ${JSON.stringify(host).padEnd(13)} ${rest}`;
}

function main() {
  const head = "<34>1 2026-11-30T12:00:00Z";
  const seen = [
    tryOne("host 192.0.2.7", `${head} 192.0.2.7 bmc 123 - - Power supply 1 failed`),
    tryOne("host 2001:db8::7", `${head} 2001:db8::7 bmc 123 - - Power supply 1 failed`),
    tryOne("BSD, host 2001:db8::7", "<34>Nov 30 12:00:00 2001:db8::7 bmc: Power supply 1 failed"),
    tryOne(
      "no data, but brackets",
      `${head} node7 bmc 123 ID47 - Disk failed [slot=3 state="bad"] do not replace it before node8 is back`,
    ),
    tryOne("escaped quotation mark", `${head} node7 bmc 123 ID47 [id@32473 slot="\\"3\\""] Fan bad`),
  ];
  console.log(seen.join("\n"));
  const found = [
    'host 192.0.2.7            host "192.0.2.7"   app "bmc"   message "Power supply 1 failed"',
    'host 2001:db8::7          host ""            app none    message "2001:db8::7 bmc 123 - - Power supply 1 failed"',
    'BSD, host 2001:db8::7     host ""            app none    message "2001:db8::7 bmc: Power supply 1 failed"',
    'no data, but brackets     host "node7"       app "bmc"   message "Disk failed"',
    'escaped quotation mark    host "node7"       app "bmc"   message "[id@32473 slot=\\"\\\\\\"3\\\\\\"\\"] Fan bad"',
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
{ npm init --yes && npm install --no-audit --no-fund "nsyslog-parser@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
