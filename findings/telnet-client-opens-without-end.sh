#!/usr/bin/env bash
# Shows that telnet-client begins a subnegotiation that it never ends, so that the server takes the login for a part of
# it, and that it sees options only where a packet begins.
#
#   findings/telnet-client-opens-without-end.sh [VERSION]    tries this version of telnet-client; default: 2.2.14
#
# Subject: the npm package telnet-client 2.2.14, for consoles, terminal servers, switches and power distribution units.
#
# What one would guess: the options `terminalWidth` and `terminalHeight` make the client say WILL TERMINAL-TYPE and tell
# that size, as the README has it, and logging in works as before. A server that is told WILL TERMINAL-TYPE asks for it
# by IAC SB TERMINAL-TYPE SEND IAC SE, and the answer ends with IAC SE as well (RFC 1091 section 2, RFC 855). Commands
# may stand anywhere in the data (RFC 854): TCP knows no packets. So a server may say IAC WILL ECHO (RFC 857) right
# behind "Password: ", and mostly does so with the same write.
#
# What happens: negotiate() takes all commands for three bytes. It sends the first three of the six of the question
# back, IAC SB TERMINAL-TYPE, and gives the other three to the caller as text. For the server, all that follows belongs
# to that subnegotiation. parseData() calls negotiate() only if a chunk of data begins with IAC; any other option stays
# in the text without an answer, and so the prompt is not at its end, where /password[: ]*$/ looks for it.
#
# Seen on 2026-11-30, with a server on 127.0.0.1 that reads by these RFCs:
#   no size                            exec: "node7", server read: "admin", "secret", "hostname"
#   with size                          error: Cannot connect, server read: nothing, option 24 open with "admin\n"
#   WILL ECHO before the prompt        exec: "node7", server read: "admin", "secret", "hostname"
#   WILL ECHO behind the prompt        error: Cannot connect, server read: "admin"
# telnetd of GNU inetutils 2.4 (Debian 12) asked so, got FF FA 18, and never came to its prompt.
#
# Why it matters: the size is set because output is cut at 80 columns, and then no login works: the error, "Cannot
# connect", points at the network. With the prompt it depends on how the server writes and on the network whether it
# works. A `passwordPrompt` without "$" helps for that; for the size nothing does but to leave it out. bmaas speaks no
# Telnet.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-2.2.14}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { once } = require("node:events");
const net = require("node:net");
const { Telnet } = require("telnet-client");

const [IAC, DO, WILL, SB, SE] = [255, 253, 251, 250, 240];
const [ECHO, TERMINAL_TYPE, SEND] = [1, 24, 1];
const echoOff = Buffer.from([IAC, WILL, ECHO]);

/** Reads what a client sends: text in lines, and commands. */
class Reader {
  lines = [];
  /** The subnegotiation that was begun and has not ended yet. */
  open = undefined;
  #line = "";
  #command = [];

  constructor(onLine, onWill) {
    this.onLine = onLine;
    this.onWill = onWill;
  }

  read(data) {
    for (const byte of data) {
      this.#readByte(byte);
    }
  }

  #readByte(byte) {
    if (this.#command.length === 0 && byte !== IAC) {
      if (this.open) {
        this.open.push(byte);
      } else if (byte === 10) {
        this.lines.push(this.#line.trim());
        this.#line = "";
        this.onLine(this.lines.at(-1));
      } else {
        this.#line += String.fromCharCode(byte);
      }
      return;
    }
    this.#command.push(byte);
    const [, command, option] = this.#command;
    if (command === SE) {
      this.open = undefined;
    } else if (command === SB && option !== undefined) {
      this.open = [option];
    } else if (command === WILL && option !== undefined) {
      this.onWill(option);
    } else if (command === undefined || (command >= SB && option === undefined)) {
      return;
    }
    this.#command = [];
  }
}

/** Serves one client. Calls getPasswordPrompt for the bytes that ask for the password. */
function serve(socket, getPasswordPrompt) {
  const prompts = [getPasswordPrompt, () => "\r\nnode7# "];
  const reader = new Reader(
    (line) => socket.write(prompts.shift()?.() ?? `${line}\r\nnode7\r\nnode7# `),
    (option) => option === TERMINAL_TYPE && socket.write(Buffer.from([IAC, SB, TERMINAL_TYPE, SEND, IAC, SE])),
  );
  socket.on("data", (data) => reader.read(data));
  socket.on("error", () => {});
  socket.write(Buffer.from([IAC, DO, TERMINAL_TYPE]));
  setTimeout(() => socket.write("login: "), 200);
  return reader;
}

async function describe(getPasswordPrompt, options) {
  let reader;
  const server = net.createServer((socket) => {
    reader = serve(socket, getPasswordPrompt);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new Telnet();
  let result;
  try {
    const { port } = server.address();
    await client.connect({
      host: "127.0.0.1",
      port,
      username: "admin",
      password: "secret",
      shellPrompt: /node7# $/,
      timeout: 1500,
      ...options,
    });
    result = `exec: ${JSON.stringify((await client.exec("hostname")).trim())}`;
  } catch (error) {
    result = `error: ${error.message}`;
  }
  await client.destroy();
  server.close();
  const read = reader.lines.map((line) => JSON.stringify(line)).join(", ") || "nothing";
  const open = reader.open
    ? `, option ${reader.open[0]} open with ${JSON.stringify(String.fromCharCode(...reader.open.slice(1)))}`
    : "";
  return `${result}, server read: ${read}${open}`;
}

async function main() {
  const prompt = Buffer.from("Password: ");
  const seen = [];
  for (const [name, getPasswordPrompt, options] of [
    ["no size", () => prompt, {}],
    ["with size", () => prompt, { terminalWidth: 200, terminalHeight: 50 }],
    ["WILL ECHO before the prompt", () => Buffer.concat([echoOff, prompt]), {}],
    ["WILL ECHO behind the prompt", () => Buffer.concat([prompt, echoOff]), {}],
  ]) {
    seen.push(`${name.padEnd(34)} ${await describe(getPasswordPrompt, options)}`);
  }
  console.log(seen.join("\n"));
  const found = [
    'no size                            exec: "node7", server read: "admin", "secret", "hostname"',
    'with size                          error: Cannot connect, server read: nothing, option 24 open with "admin\\n"',
    'WILL ECHO before the prompt        exec: "node7", server read: "admin", "secret", "hostname"',
    'WILL ECHO behind the prompt        error: Cannot connect, server read: "admin"',
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
{ npm init --yes && npm install --no-audit --no-fund "telnet-client@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
