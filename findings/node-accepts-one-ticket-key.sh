#!/usr/bin/env bash
# Shows that a TLS server of Node accepts session tickets of one key only, so that a change of keys ends all sessions.
#
#   findings/node-accepts-one-ticket-key.sh
#
# Subject: Node.js 24.21.0 with OpenSSL 3.5.8, server and client on loopback.
#
# What one would guess: a server can accept tickets of the previous key for a while after it has changed keys, as nginx
# (several ssl_session_ticket_key), Go (SetSessionTicketKeys) and OpenSSL's own callback allow.
#
# What happens: tls.Server.setTicketKeys takes one key of 48 bytes, and its callback discards a ticket whose key has
# another name (SecureContext::TicketCompatibilityCallback in src/crypto/crypto_context.cc). And a session that was
# resumed gets no new ticket: the life of a ticket counts from the full handshake, however often it is used.
#
# Seen on 2026-11-29:
#   first: full handshake, ticket sent
#   with the ticket: resumed, no ticket sent
#   after setTicketKeys: full handshake, ticket sent
#
# Why it matters: bmaas changes keys once a day, and then every agent that reconnects makes one full handshake.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --no-audit --no-fund --loglevel=error node@24.21.0 > npm.log 2>&1 || { cat npm.log >&2; exit 2; }
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
  > openssl.log 2>&1 || { cat openssl.log >&2; exit 2; }

cat > tickets.mjs <<'JS'
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { connect, createServer } from "node:tls";

const [cert, key] = ["cert.pem", "key.pem"].map((file) => readFileSync(file));
const server = createServer({ cert, key, ticketKeys: randomBytes(48) }, (socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
await once(server, "listening");
async function call(name, session) {
  const socket = connect({ host: "127.0.0.1", port: server.address().port, rejectUnauthorized: false, session });
  let ticket;
  const sent = once(socket, "session").then(([each]) => (ticket = each));
  await once(socket, "secureConnect");
  await Promise.race([sent, delay(2_000)]);
  const said = `${socket.isSessionReused() ? "resumed" : "full handshake"}, ${ticket ? "" : "no "}ticket sent`;
  console.log(`${name}: ${said}`);
  socket.destroy();
  return { said, ticket };
}
const first = await call("first");
const second = await call("with the ticket", first.ticket);
server.setTicketKeys(randomBytes(48));
const third = await call("after setTicketKeys", first.ticket);
server.close();
const expected = ["full handshake, ticket sent", "resumed, no ticket sent", "full handshake, ticket sent"];
process.exitCode = [first, second, third].every(({ said }, index) => said === expected[index]) ? 0 : 1;
JS
node_modules/node/bin/node tickets.mjs
