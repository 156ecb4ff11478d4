#!/usr/bin/env bash
# Shows that dhcpd-leases gives an address that one machine has to another, as soon as dhcpd is told of that machine.
#
#   findings/dhcpd-leases-swap-machines.sh [VERSION]    tries this version of dhcpd-leases; default: 0.1.2
#
# Subject: the npm package dhcpd-leases 0.1.2, which reads the leases of ISC dhcpd. The file is what dhcpd 4.4.3-P1
# (Debian 12) wrote for one lease, with the host node-z that omshell created by OMAPI afterwards.
#
# What one would guess: a lease has what stands between its braces. "Lease files can contain lease declarations, and
# also group and subgroup declarations, host declarations and failover state declarations. Group, subgroup and host
# declarations are used to record objects created using the OMAPI protocol" (dhcpd.leases(5), "Format"). A reader of
# leases skips the others.
#
# What happens: the parser knows where a lease begins, and no "}". Each indented line belongs to the last lease that
# began, so what a host has replaces what that lease has. dhcpd appends each change to the file, so a new host stands
# behind the lease that changed last.
#
# Seen on 2026-12-01:
#   in the file:      10.9.0.10 leased to 52:54:00:00:00:0a (node-a); 10.9.0.99 kept for 52:54:00:00:00:7a
#   before node-z:    10.9.0.10 52:54:00:00:00:0a node-a
#   with node-z:      10.9.0.10 52:54:00:00:00:7a node-a
#
# Why it matters: by OMAPI, provisioning tells a dhcpd that runs about a new machine. What looks up "who has this
# address", or "which address has this machine", for a boot menu, an inventory or a management controller to switch off,
# then gets the wrong machine: the new one at the old one's address, under the old one's name. It is right again after
# the next lease, for that one, so it cannot be found later. Files without hosts are read right. bmaas does not read
# leases.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.1.2}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-audit --no-fund --loglevel=error "dhcpd-leases@$version" > npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat > before.leases <<'TEXT'
# The format of this file is documented in the dhcpd.leases(5) manual page.
# This lease file was written by isc-dhcp-4.4.3-P1

# authoring-byte-order entry is generated, DO NOT DELETE
authoring-byte-order little-endian;

lease 10.9.0.10 {
  starts 2 2026/12/01 02:00:00;
  ends 1 2036/12/01 12:00:00;
  tstp 1 2036/12/01 12:00:00;
  cltt 2 2026/12/01 02:00:00;
  binding state active;
  next binding state free;
  hardware ethernet 52:54:00:00:00:0a;
  client-hostname "node-a";
}
server-duid "\000\001\000\0012\240\364\223\376\253\360\352\231\252";

TEXT
cat before.leases - > after.leases <<'TEXT'
host node-z {
  dynamic;
  hardware ethernet 52:54:00:00:00:7a;
  fixed-address 10.9.0.99;
}
TEXT

cat > try.cjs <<'JS'
const { readFileSync } = require("node:fs");
const parse = require("dhcpd-leases");

/** Returns each lease with the machine that the package says has it. */
function describe(file) {
  const leases = parse(readFileSync(file, "utf8"));
  return leases.map((each) => `${each.ip} ${each["hardware ethernet"]} ${each["client-hostname"]}`).join(", ");
}

const seen = [
  `before node-z:    ${describe("before.leases")}`,
  `with node-z:      ${describe("after.leases")}`,
];
console.log(
  "in the file:      10.9.0.10 leased to 52:54:00:00:00:0a (node-a); 10.9.0.99 kept for 52:54:00:00:00:7a",
);
console.log(seen.join("\n"));
const found = [
  "before node-z:    10.9.0.10 52:54:00:00:00:0a node-a",
  "with node-z:      10.9.0.10 52:54:00:00:00:7a node-a",
];
const isAsFound = seen.join() === found.join();
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node try.cjs
