#!/usr/bin/env bash
# Shows that connect-node reports refused HTTP/2 streams, which were never looked at, as internal errors of the server.
#
#   findings/connect-node-reset-codes.sh [VERSION]    tries this version of connect-node; default: 2.2.0
#
# Subject: @connectrpc/connect-node 2.2.0 with @connectrpc/connect 2.2.0, beside @grpc/grpc-js 1.14.7, on Node 24.
#
# What one would guess: a server that resets a stream by REFUSED_STREAM makes the call `unavailable`, as gRPC's PROTOCOL-HTTP2.md ("HTTP2
# Transport Mapping") has it, and as connect-node's own table connectErrorFromH2ResetCode has it. grpc-js goes further and repeats the
# call by itself, since RFC 9113 section 8.7 says that it was not processed.
#
# What happens: Node emits "error" (ERR_HTTP2_STREAM_ERROR) before "close". connect-node's listener for "error" settles the call as
# `internal`, and the table, which is read on "close", comes too late for every code but CANCEL, of which Node emits no error. So
# `unavailable`, `resource_exhausted` and `permission_denied` cannot be told from a fault of the server.
#
# Seen on 2026-11-29:
#   REFUSED_STREAM       connect-node: internal           grpc-js: unavailable, after 2 tries
#   ENHANCE_YOUR_CALM    connect-node: internal           grpc-js: resource_exhausted, after 1 tries
#   INADEQUATE_SECURITY  connect-node: internal           grpc-js: permission_denied, after 1 tries
#   CANCEL               connect-node: canceled           grpc-js: cancelled, after 1 tries
#
# Why it matters: a server that replaces its processes refuses streams in the ordinary course of things. A client that backs off on
# `unavailable` and gives up on `internal` gives up; src/agent/agent-client.ts therefore looks at the error's cause.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-2.2.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --no-audit --no-fund --loglevel=error "@connectrpc/connect-node@$version" "@connectrpc/connect@$version" \
  @bufbuild/protobuf@2.17.0 @grpc/grpc-js@1.14.7 > npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat > try.js <<'JS'
import { once } from "node:events";
import { constants, createServer } from "node:http2";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema, file_google_protobuf_empty } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import grpc from "@grpc/grpc-js";

setTimeout(() => {
  console.error("could not be tried: no answer within 30 s");
  process.exit(2);
}, 30_000).unref();

/** A service with one method that takes and returns nothing. */
const method = { name: "Call", inputType: ".google.protobuf.Empty", outputType: ".google.protobuf.Empty" };
const file = create(FileDescriptorProtoSchema, {
  name: "finding.proto",
  package: "finding",
  syntax: "proto3",
  dependency: ["google/protobuf/empty.proto"],
  service: [{ name: "Service", method: [method] }],
});
const files = create(FileDescriptorSetSchema, { file: [file_google_protobuf_empty.proto, file] });
const service = createFileRegistry(files).getService("finding.Service");

let resetCode;
let tries = 0;
const server = createServer().on("stream", (stream) => {
  tries += 1;
  stream.on("error", () => {});
  stream.close(resetCode);
});
await once(server.listen(0, "127.0.0.1"), "listening");
const host = `127.0.0.1:${server.address().port}`;

async function byConnectNode() {
  const client = createClient(service, createGrpcTransport({ baseUrl: `http://${host}` }));
  const error = await client.call({}).then(() => undefined, ConnectError.from);
  return Code[error.code].toLowerCase();
}

async function byGrpcJs() {
  const client = new grpc.Client(host, grpc.credentials.createInsecure());
  const path = "/finding.Service/Call";
  const nothing = () => Buffer.alloc(0);
  const deadline = Date.now() + 5000;
  const error = await new Promise((resolve) => client.makeUnaryRequest(path, nothing, nothing, {}, { deadline }, resolve));
  client.close();
  return grpc.status[error.code].toLowerCase();
}

const seen = {};
for (const name of ["REFUSED_STREAM", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "CANCEL"]) {
  resetCode = constants[`NGHTTP2_${name}`];
  const connectNode = await byConnectNode();
  tries = 0;
  const grpcJs = await byGrpcJs();
  console.log(`${name.padEnd(20)} connect-node: ${connectNode.padEnd(18)} grpc-js: ${grpcJs}, after ${tries} tries`);
  seen[name] = connectNode;
}
const isAsFound =
  seen.REFUSED_STREAM === "internal" && seen.ENHANCE_YOUR_CALM === "internal" && seen.INADEQUATE_SECURITY === "internal";
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node try.js
