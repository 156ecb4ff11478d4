#!/usr/bin/env bash
# Shows that the npm package dhcp acknowledges requests that are for another server, or for another network's address,
# and answers relayed ones past the relay.
#
#   findings/dhcp-acknowledges-anothers-offer.sh [VERSION]    tries this version of dhcp; default: 0.2.20
#
# Subject: the npm package dhcp 0.2.20 (infusion/node-dhcp), its server, "a RFC compliant DHCP client and server".
#
# What one would guess, from RFC 2131:
# - A request names the server whose offer the client takes. Others "use the message as notification that the client has
#   declined that server's offer" (RFC 2131 section 3.1, step 4) and say nothing.
# - A client that starts again asks for its old address. If it is on another network now, it gets DHCPNAK (section
#   4.3.2).
# - What a relay passes on is answered to the relay, at its port 67 (section 4.1).
# - A machine in `static` gets the address that is written there, by its MAC address as the README writes it.
#
# What happens: handleRequest reads neither the server identifier (option 54) nor the requested address (option 50), and
# always sends DHCPACK, with the address that this server would give. sendNak exists, and nothing calls it. All answers
# go to the address `broadcast`, port 68. MAC addresses are compared in the form 52-54-00-AA-BB-CC, so that one with
# colons, as in the README, never fits. No error is emitted.
#
# Seen on 2026-11-30, with a server that has 10.0.0.10 to 10.0.0.99 and is 10.0.0.1:
#   discover                                offer of 10.0.0.10
#   request, 10.0.0.77 of server 10.0.0.2   ack of 10.0.0.10
#   request, 192.168.5.9 from before        ack of 10.0.0.10
#   discover, by a relay                    to the relay's port 67: nothing; to broadcast: offer of 10.0.0.11
#   static {"52:54:00:00:00:07": ...50}     offer of 10.0.0.12
#
# Why it matters: beside a second server, which is the rule where PXE and addresses have a server each, a client gets
# two acknowledgements with two addresses. A machine that was moved to the provisioning network asks for the address
# that it had, and is acknowledged instead of being told to start anew. A rack behind a relay gets nothing. With one
# server, one network and new machines, all of it works. bmaas has no DHCP server.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried (ports 67 and 68 need root).
set -euo pipefail

version=${1:-0.2.20}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const dgram = require("node:dgram");
const { once } = require("node:events");
const dhcp = require("dhcp");

const types = { 2: "offer", 5: "ack", 6: "nak" };
// Addresses of the loopback network, in the roles of the server, of the broadcast address, and of a relay.
const [serverAddress, broadcastAddress, relayAddress] = ["127.0.67.1", "127.0.67.255", "127.0.67.9"];

const toBytes = (address) => address.split(".").map(Number);

/** A message of a client (RFC 2131 section 2). options are the bytes between the magic cookie and the end. */
function createMessage(mac, options, relay = "0.0.0.0") {
  const message = Buffer.alloc(236);
  message.set([1, 1, 6, 0], 0);
  message.writeUInt32BE(0x5eed0000 + mac, 4);
  message.set(toBytes(relay), 24);
  message.set([0x52, 0x54, 0, 0, 0, mac], 28);
  return Buffer.concat([message, Buffer.from([99, 130, 83, 99, ...options, 255])]);
}

function describe(answer) {
  const typeAt = answer.indexOf(Buffer.from([53, 1]), 240);
  return `${types[answer[typeAt + 2]]} of ${answer.subarray(16, 20).join(".")}`;
}

async function listen(address, port) {
  const socket = dgram.createSocket({ type: "udp4", reuseAddr: true });
  socket.bind(port, address);
  await once(socket, "listening");
  const answers = [];
  socket.on("message", (answer) => answers.push(describe(answer)));
  return { answers, socket };
}

async function main() {
  const server = dhcp.createServer({
    range: ["10.0.0.10", "10.0.0.99"],
    randomIP: false,
    static: { "52:54:00:00:00:07": "10.0.0.50" },
    netmask: "255.255.255.0",
    router: ["10.0.0.1"],
    dns: ["10.0.0.1"],
    broadcast: broadcastAddress,
    server: "10.0.0.1",
  });
  const errors = [];
  server.on("error", (error) => errors.push(error.message ?? error));
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(67, serverAddress, resolve);
  });
  const clients = await listen(broadcastAddress, 68);
  const relay = await listen(relayAddress, 67);
  const socket = dgram.createSocket("udp4");
  /** Sends a message, and tells what came of it. */
  const send = async (message) => {
    clients.answers.length = relay.answers.length = 0;
    socket.send(message, 67, serverAddress);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return clients.answers.join(", ") || "nothing";
  };

  const [discover, request] = [
    [53, 1, 1],
    [53, 1, 3],
  ];
  const seen = [];
  const add = (name, result) => seen.push(`${name.padEnd(39)} ${result}`);
  add("discover", await send(createMessage(1, discover)));
  add(
    "request, 10.0.0.77 of server 10.0.0.2",
    await send(createMessage(1, [...request, 50, 4, ...toBytes("10.0.0.77"), 54, 4, ...toBytes("10.0.0.2")])),
  );
  add("request, 192.168.5.9 from before", await send(createMessage(1, [...request, 50, 4, ...toBytes("192.168.5.9")])));
  const toAll = await send(createMessage(2, discover, relayAddress));
  add("discover, by a relay", `to the relay's port 67: ${relay.answers.join() || "nothing"}; to broadcast: ${toAll}`);
  add('static {"52:54:00:00:00:07": ...50}', await send(createMessage(7, discover)));

  console.log([...seen, ...errors].join("\n"));
  const found = [
    "discover                                offer of 10.0.0.10",
    "request, 10.0.0.77 of server 10.0.0.2   ack of 10.0.0.10",
    "request, 192.168.5.9 from before        ack of 10.0.0.10",
    "discover, by a relay                    to the relay's port 67: nothing; to broadcast: offer of 10.0.0.11",
    'static {"52:54:00:00:00:07": ...50}     offer of 10.0.0.12',
  ];
  const isAsFound = [...seen, ...errors].join("\n") === found.join("\n");
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
}

process.exitCode = 2; // If it ends before its end.
main().catch((error) => {
  console.error("could not be tried:", error);
  process.exit(2);
});
JS
{ npm init --yes && npm install --no-audit --no-fund "dhcp@$version"; } > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
timeout 60 node main.js 2> errors || { status=$?; cat errors >&2; exit $(( status == 124 ? 2 : status )); }
