#!/usr/bin/env bash
# Shows that snmp-native writes -20.0 degrees as +5.6: many negative numbers are sent as positive ones.
#
#   findings/snmp-native-flips-negative-numbers.sh [VERSION]    tries this version of snmp-native; default: 1.2.0
#
# Subject: the npm package snmp-native 1.2.0, Session.set(). The agent, and the client that reads what it has, are by
# the npm package net-snmp 3.29.2.
#
# What one would guess: any Integer32 can be set. An integer is sent in two's complement, in the fewest bytes whose
# first bit is its sign (X.690 section 8.3).
#
# What happens: the package takes as many bytes as the absolute value needs, and forgets the sign's bit. -129 to -255
# are one byte too short, of which the first bit is 0: they arrive as 127 to 1. So do -32769 to -65535, as 32767 to 1,
# and so on by three bytes. -1 to -128, -256 to -32768, and all positive numbers are right. The agent takes a valid
# number, and the session calls back without an error.
#
# Seen on 2026-12-01, for a threshold in tenths of a degree:
#   set -100      by snmp-native: no error, agent has -100      by net-snmp: no error, agent has -100
#   set -200      by snmp-native: no error, agent has 56        by net-snmp: no error, agent has -200
#   set -255      by snmp-native: no error, agent has 1         by net-snmp: no error, agent has -255
#   set -300      by snmp-native: no error, agent has -300      by net-snmp: no error, agent has -300
#   set -40000    by snmp-native: no error, agent has 25536     by net-snmp: no error, agent has -40000
#   set 200       by snmp-native: no error, agent has 200       by net-snmp: no error, agent has 200
#
# Why it matters: power distribution units, sensors and air conditioners have their thresholds and set points in tenths.
# The lower limit of -20.0 at an outdoor unit becomes 5.6, and an alarm or a heater goes by it; a test with -10.0 or
# -30.0 passes. What the session calls back with is the agent's copy of what it got, so compare that with what was
# meant. Reading is right. bmaas speaks no SNMP.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-1.2.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { createSocket } = require("node:dgram");
const { once } = require("node:events");
const netSnmp = require("net-snmp");
const { Session, DataTypes } = require("snmp-native");

const host = "127.0.0.1";
const threshold = "1.3.6.1.4.1.8072.9999.1";
const community = "private";

async function findFreePort() {
  const socket = createSocket("udp4");
  socket.bind(0, host);
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}

function createAgent(port) {
  const agent = netSnmp.createAgent({ port, address: host }, () => {});
  agent.getAuthorizer().addCommunity(community);
  agent.registerProvider({
    name: "threshold",
    type: netSnmp.MibProviderType.Scalar,
    oid: threshold,
    scalarType: netSnmp.ObjectType.Integer,
    maxAccess: netSnmp.MaxAccess["read-write"],
    defVal: 0,
  });
  agent.getMib().setScalarValue("threshold", 0);
  return agent;
}

const describe = (error) => (error ? `error ${error.message ?? error}` : "no error");

async function main() {
  const port = await findFreePort();
  const agent = createAgent(port);
  const bySnmpNative = new Session({ host, port, community, timeouts: [5000] });
  const byNetSnmp = netSnmp.createSession(host, community, { port, version: netSnmp.Version2c });
  const oid = `${threshold}.0`;
  const setters = {
    "snmp-native": (value) =>
      new Promise((resolve) =>
        bySnmpNative.set({ oid: `.${oid}`, value, type: DataTypes.Integer }, (error) => resolve(describe(error))),
      ),
    "net-snmp": (value) =>
      new Promise((resolve) =>
        byNetSnmp.set([{ oid, type: netSnmp.ObjectType.Integer, value }], (error) => resolve(describe(error))),
      ),
  };
  const read = () =>
    new Promise((resolve) =>
      byNetSnmp.get([oid], (error, varbinds) => resolve(error ? describe(error) : varbinds[0].value)),
    );

  const seen = [];
  for (const value of [-100, -200, -255, -300, -40000, 200]) {
    const results = [];
    for (const [name, set] of Object.entries(setters)) {
      results.push(`by ${name}: ${await set(value)}, agent has ${await read()}`.padEnd(45));
    }
    seen.push(`${`set ${value}`.padEnd(13)} ${results.join(" ").trim()}`);
  }
  bySnmpNative.close();
  byNetSnmp.close();
  agent.close();
  console.log(seen.join("\n"));
  const found = [
    "set -100      by snmp-native: no error, agent has -100      by net-snmp: no error, agent has -100",
    "set -200      by snmp-native: no error, agent has 56        by net-snmp: no error, agent has -200",
    "set -255      by snmp-native: no error, agent has 1         by net-snmp: no error, agent has -255",
    "set -300      by snmp-native: no error, agent has -300      by net-snmp: no error, agent has -300",
    "set -40000    by snmp-native: no error, agent has 25536     by net-snmp: no error, agent has -40000",
    "set 200       by snmp-native: no error, agent has 200       by net-snmp: no error, agent has 200",
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
{ npm init --yes && npm install --no-audit --no-fund "snmp-native@$version" net-snmp@3.29.2; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node --no-deprecation main.js || exit $(( $? == 124 ? 2 : $? ))
