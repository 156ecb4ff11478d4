#!/usr/bin/env bash
# Shows that @achingbrain/ssdp never yields a Redfish service, although it asks for it and gets the answer.
#
#   findings/ssdp-skips-redfish-services.sh [VERSION]    tries this version of @achingbrain/ssdp; default: 4.2.4
#
# Subject: the npm package @achingbrain/ssdp 4.2.4, discover(). Management controllers answer as Redfish says.
#
# What one would guess: who asks by SSDP for urn:dmtf-org:service:redfish-rest:1, as the Redfish specification tells
# clients to (DSP0266, "Discovery", "UPnP compatibility"), gets the services that answer. discover() takes any service
# type, and its README shows no more than types of UPnP.
#
# What happens: a Redfish service tells its address in the header AL, the alternative location of the first draft of
# SSDP, has no LOCATION, and says its minor version in ST and USN (DSP0266, "M-SEARCH response" and "USN format"). A
# UPnP device tells it in LOCATION, which is the address of a description in XML (UPnP Device Architecture 1.1 section
# 1.3.3). resolveService and notify return at once when LOCATION is missing, without an event or an error. Where a
# controller sends LOCATION as well, with its service root, the package fetches that and takes the JSON for XML: an
# "error" event, and no service. Each of both is right by its own standard.
#
# Seen on 2026-11-30, by multicast on the loopback interface:
#   UPnP device, LOCATION       answered: yes   discovered: yes   error: none
#   Redfish, AL                 answered: yes   discovered: no    error: none
#   Redfish, AL and LOCATION    answered: yes   discovered: no    error: Non-whitespace before first tag.
#   Redfish, AL, its NOTIFY     sent: yes       discovered: no    error: none
#
# Why it matters: a scan of a management network finds media servers and printers and no machine, which looks as if the
# controllers had SSDP switched off, as many have. The event "transport:incoming-message" has the answers as they came,
# to be read by oneself. bmaas hears from agents on the machines, and asks no controllers.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-4.2.4}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.mjs <<'JS'
import dgram from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import ssdp from "@achingbrain/ssdp";

const group = "239.255.255.250";
const localhost = "127.0.0.1";
const basicDevice = "urn:schemas-upnp-org:device:Basic:1";
const redfish = "urn:dmtf-org:service:redfish-rest:1";
const id = "uuid:92384634-2938-2342-8820-489239905423";

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Serves a description of a UPnP device, and a Redfish service root. */
async function serveDocuments() {
  const server = createServer((request, response) => {
    response.end(
      request.url === "/description.xml"
        ? '<?xml version="1.0"?><root><device><friendlyName>Printer</friendlyName></device></root>'
        : JSON.stringify({ "@odata.id": "/redfish/v1/", RedfishVersion: "1.6.0" }),
    );
  });
  server.listen(0, localhost);
  await once(server, "listening");
  return `http://${localhost}:${server.address().port}`;
}

/** Something that answers a search for serviceType with these headers. */
async function createResponder(serviceType, headers) {
  const socket = dgram.createSocket({ type: "udp4", reuseAddr: true });
  socket.bind(0, "0.0.0.0");
  await once(socket, "listening");
  socket.addMembership(group, localhost);
  socket.on("message", (message, { address, port }) => {
    if (/^M-SEARCH/.test(message) && message.includes(`ST: ${serviceType}\r\n`)) {
      socket.send(["HTTP/1.1 200 OK", ...headers, "EXT:", "", ""].join("\r\n"), port, address);
    }
  });
  return { socket, port: socket.address().port };
}

/** Looks for a service by the package. Returns what came of it, and lets announce send something meanwhile. */
async function look(serviceType, responder, announce) {
  let isAnswered = false;
  const errors = [];
  const bus = await ssdp({
    start: false,
    sockets: [{ bind: { address: localhost, port: 0 }, broadcast: { address: group, port: responder.port } }],
  });
  bus.on("error", (error) => errors.push(error.message.split("\n")[0]));
  bus.on("transport:incoming-message", () => (isAnswered = true));
  await bus.start();
  let isDiscovered = false;
  bus.on("service:discover", () => (isDiscovered = true));
  const services = bus.discover({ serviceType });
  void services.next().catch(() => {});
  await announce?.(bus.sockets[0].address());
  await pause(1000);
  await bus.stop();
  responder.socket.close();
  const yes = (is) => (is ? "yes" : "no").padEnd(3);
  return { isAnswered: yes(isAnswered), rest: `discovered: ${yes(isDiscovered)}   error: ${errors.join() || "none"}` };
}

async function main() {
  const base = await serveDocuments();
  const life = "CACHE-CONTROL:max-age=1800";
  const redfishHeaders = [life, `ST:${redfish}:6`, `USN:${id}::${redfish}:6`, `AL:${base}/redfish/v1/`];
  const seen = [];
  for (const [name, serviceType, headers] of [
    [
      "UPnP device, LOCATION",
      basicDevice,
      [life, `ST:${basicDevice}`, `USN:${id}::${basicDevice}`, `LOCATION:${base}/description.xml`],
    ],
    ["Redfish, AL", redfish, redfishHeaders],
    ["Redfish, AL and LOCATION", redfish, [...redfishHeaders, `LOCATION:${base}/redfish/v1/`]],
  ]) {
    const { isAnswered, rest } = await look(serviceType, await createResponder(serviceType, headers));
    seen.push(`${name.padEnd(27)} answered: ${isAnswered}   ${rest}`);
  }

  const responder = await createResponder("none", []);
  const { isAnswered, rest } = await look(redfish, responder, ({ address, port }) => {
    const headers = [life, `NT:${redfish}:6`, "NTS:ssdp:alive", `USN:${id}::${redfish}:6`, `AL:${base}/redfish/v1/`];
    const notify = ["NOTIFY * HTTP/1.1", `HOST:${group}:1900`, ...headers, "", ""].join("\r\n");
    responder.socket.send(notify, port, address);
  });
  seen.push(`${"Redfish, AL, its NOTIFY".padEnd(27)} sent: ${isAnswered}       ${rest}`);

  console.log(seen.join("\n"));
  const found = [
    "UPnP device, LOCATION       answered: yes   discovered: yes   error: none",
    "Redfish, AL                 answered: yes   discovered: no    error: none",
    "Redfish, AL and LOCATION    answered: yes   discovered: no    error: Non-whitespace before first tag.",
    "Redfish, AL, its NOTIFY     sent: yes       discovered: no    error: none",
  ];
  if (seen.some((line) => / (answered|sent): no/.test(line))) {
    console.log("could not be tried: no multicast on the loopback interface");
    process.exit(2);
  }
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
{ npm init --yes && npm install --no-audit --no-fund "@achingbrain/ssdp@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.mjs || exit $(( $? == 124 ? 2 : $? ))
