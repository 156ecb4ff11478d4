#!/usr/bin/env bash
# Shows that Node sends "100 Continue" between the head and the body of a final answer, for a request that was pipelined.
#
#   findings/node-continue-within-an-answer.sh [VERSION]    tries this version of Node; default: 24.21.0
#
# Subject: node:http of Node 24.21.0.
#
# What one would guess: a request with "Expect: 100-continue" behind another one on its HTTP/1.1 connection gets "100 Continue", or none,
# and then its final answer: interim responses precede the final one (RFC 9110 section 15.2).
#
# What happens: while the answer to the first request is under way, Node buffers what the second one's response writes. The interim
# response is buffered first. When the handler then ends the response with a Buffer, Node puts the head before everything in that buffer,
# so that the client reads head, "100 Continue", body. It takes the interim response for the first 25 bytes of the body, and the end of the
# body for the next answer. A string for a body is joined with its head, and the order is right.
#
# Seen on 2026-11-29:
#   a string: HTTP/1.1 100 Continue | HTTP/1.1 200 OK | second
#   a Buffer: HTTP/1.1 200 OK | HTTP/1.1 100 Continue | second
#
# Why it matters: curl and most HTTP libraries send this header with larger bodies, and proxies keep connections. The server needs no
# listener for it: node:http calls writeContinue by itself. src/rpc/connections/node-answers.ts therefore waits for the response's turn.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-24.21.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --no-audit --no-fund --loglevel=error "node@$version" > npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat > try.js <<'JS'
import { createServer } from "node:http";
import { connect } from "node:net";

setTimeout(() => {
  console.error("could not be tried: no answer within 30 s");
  process.exit(2);
}, 30_000).unref();

/** Sends two requests at once, the second with the expectation, and returns the lines of the second answer that tell. */
async function pipeline(body) {
  let first;
  const server = createServer((request, response) => {
    if (request.url === "/first") {
      first = response;
      return;
    }
    response.writeHead(200, { "content-length": 6 }).end(body);
    setImmediate(() => first.end("first"));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = connect(server.address().port, "127.0.0.1").setEncoding("latin1");
  client.write("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  client.write("POST /second HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}");
  let received = "";
  for await (const text of client) {
    received += text;
    if (received.endsWith("second")) break;
  }
  server.close();
  server.closeAllConnections();
  return received.slice(received.indexOf("first")).match(/HTTP\/1\.1 \d+ \w+|second/g).join(" | ");
}

const ofString = await pipeline("second");
const ofBuffer = await pipeline(Buffer.from("second"));
console.log(`a string: ${ofString}`);
console.log(`a Buffer: ${ofBuffer}`);
const isAsFound = ofString.startsWith("HTTP/1.1 100") && ofBuffer === "HTTP/1.1 200 OK | HTTP/1.1 100 Continue | second";
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node_modules/.bin/node try.js
