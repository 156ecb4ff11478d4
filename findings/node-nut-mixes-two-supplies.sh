#!/usr/bin/env bash
# Shows that node-nut mixes the values of two power supplies that are asked at the same time, calls a refused command a
# success after it has called it an error, and sets the first word of a text.
#
#   findings/node-nut-mixes-two-supplies.sh [VERSION]    tries this version of node-nut; default: 1.0.3
#
# Subject: the npm package node-nut 1.0.3, a client for the server upsd of Network UPS Tools.
#
# What one would guess: two clients that are connected to two servers know nothing of each other. A callback is called
# once. A text is put into quotes, as "multi-word elements are contained within "quotes"" (docs/net-protocol.txt of
# Network UPS Tools, "Command reference"; its example is SET VAR su700 ups.id "My UPS").
#
# What happens: the list that an answer fills is a variable of the module, `vars`, and an answer may come in pieces. If
# another one begins meanwhile, it starts a new list, and the rest of the first goes there as well: both callbacks get
# the same object. `self` is a global variable, set by the last call, so that one client is free again twice, and the
# other never: every second call of it ends with "Other communication still running". parseMinimalResult calls back with
# the error, and then goes on and calls back without one. SetRWVar writes the value as it is.
#
# Seen on 2026-11-30, with two servers on 127.0.0.1, of which the first sends its list in two pieces:
#   rack1, asked alone       charge 100, status OL, serial S1
#   rack2, asked alone       charge 12, status OB LB, serial S2
#   rack1, asked together    charge 12, status OL, serial S2
#   rack2, asked together    charge 12, status OB LB, serial S2; 300 ms later: charge 12, status OL, serial S2
#   rack1, asked again       error Other communication still running
#   rack2, refused command   called back with "ACCESS-DENIED", then with null
#   rack2, text "Rack 7"     sent as: SET VAR ups ups.id Rack 7
# With upsd 2.8.0 and its driver dummy-ups (Debian 12) half of the pairs of calls ended with "Other communication still
# running", and device.serial, set to "Rack 7" without an error, was "Rack".
#
# Why it matters: a data centre has a power supply for each row. A program that shuts machines down when theirs is at
# "OB LB" reads the other's charge, or "OL" for one that is about to end, and nothing if it asks again. Whether it does
# depends on how the network cuts the answers. With one supply its values are right. Who has several can start a process
# for each. bmaas asks no power supplies.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-1.0.3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { once } = require("node:events");
const net = require("node:net");
const { createInterface } = require("node:readline");
const Nut = require("node-nut");

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A server with one power supply, "ups". With waitAfter, it waits after so many values of a list. */
async function createServer(values, waitAfter = 0) {
  const lines = Object.entries(values).map(([name, value]) => `VAR ups ${name} "${value}"\n`);
  const received = [];
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    createInterface({ input: socket }).on("line", async (line) => {
      received.push(line);
      if (line === "LIST VAR ups") {
        const [begin, end] = ["BEGIN LIST VAR ups\n", "END LIST VAR ups\n"];
        if (waitAfter > 0) {
          socket.write(begin + lines.slice(0, waitAfter).join(""));
          await pause(200);
          socket.write(lines.slice(waitAfter).join("") + end);
        } else {
          socket.write(begin + lines.join("") + end);
        }
      } else {
        socket.write(line.startsWith("INSTCMD") ? "ERR ACCESS-DENIED\n" : "OK\n");
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new Nut(server.address().port, "127.0.0.1");
  client.on("error", (error) => console.log(error.message));
  client.start();
  await once(client, "ready");
  return { client, received };
}

const describe = (vars, error) =>
  error
    ? `error ${error}`
    : `charge ${vars["battery.charge"]}, status ${vars["ups.status"]}, serial ${vars["device.serial"]}`;

async function main() {
  const first = await createServer({ "battery.charge": 100, "device.serial": "S1", "ups.status": "OL" }, 2);
  const second = await createServer({ "battery.charge": 12, "device.serial": "S2", "ups.status": "OB LB" });
  const ask = ({ client }) =>
    new Promise((resolve) => client.GetUPSVars("ups", (vars, error) => resolve([vars, describe(vars, error)])));
  const seen = [];
  const add = (name, result) => seen.push(`${name.padEnd(24)} ${result}`);

  add("rack1, asked alone", (await ask(first))[1]);
  add("rack2, asked alone", (await ask(second))[1]);
  const asked = ask(first);
  await pause(100);
  // The second one's list begins while the first one waits, and is complete before.
  const [[, one], [vars, two]] = await Promise.all([asked, ask(second)]);
  await pause(300);
  add("rack1, asked together", one);
  add("rack2, asked together", `${two}; 300 ms later: ${describe(vars)}`);
  add("rack1, asked again", (await ask(first))[1].trim());

  const calls = [];
  second.client.RunUPSCommand("ups", "load.off", (error) => calls.push(JSON.stringify(error?.trim() ?? null)));
  await pause(300);
  add("rack2, refused command", `called back with ${calls.join(", then with ")}`);
  second.client.SetRWVar("ups", "ups.id", "Rack 7", () => {});
  await pause(300);
  add('rack2, text "Rack 7"', `sent as: ${second.received.at(-1)}`);

  console.log(seen.join("\n"));
  const found = [
    "rack1, asked alone       charge 100, status OL, serial S1",
    "rack2, asked alone       charge 12, status OB LB, serial S2",
    "rack1, asked together    charge 12, status OL, serial S2",
    "rack2, asked together    charge 12, status OB LB, serial S2; 300 ms later: charge 12, status OL, serial S2",
    "rack1, asked again       error Other communication still running",
    'rack2, refused command   called back with "ACCESS-DENIED", then with null',
    'rack2, text "Rack 7"     sent as: SET VAR ups ups.id Rack 7',
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
{ npm init --yes && npm install --no-audit --no-fund "node-nut@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
