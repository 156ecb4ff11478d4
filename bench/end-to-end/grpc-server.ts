/**
 * `grpc-server.ts STORE DATABASE_URL FOLDER` serves heartbeats with grpc-js, for comparison on the whole path. It
 * requires a client certificate and takes its key for the caller's. It prints its port on a line when it serves.
 */
import { X509Certificate } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type handleUnaryCall, Server, ServerCredentials, type ServerUnaryCall, status } from "@grpc/grpc-js";
import {
  AgentCallback,
  type HeartbeatRequest,
  HeartbeatRequestSchema,
  type HeartbeatResponse,
  HeartbeatResponseSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { issueClientCa } from "../load/client-certificate.ts";
import { createOurStore } from "./our-store.ts";
import type { TakeHeartbeat } from "./take-heartbeat.ts";
import { createThreeTransactions } from "./three-transactions.ts";

const stores: Record<string, (databaseUrl: string) => TakeHeartbeat> = {
  "three-transactions": createThreeTransactions,
  "our-store": createOurStore,
};

async function serve(takeHeartbeat: TakeHeartbeat, home: string): Promise<number> {
  const heartbeat: handleUnaryCall<HeartbeatRequest, HeartbeatResponse> = (call, answer) => {
    takeHeartbeat(call.request, getPublicKey(call)).then(
      (response) => answer(null, create(HeartbeatResponseSchema, response)),
      (error: Error) => answer({ code: status.UNAUTHENTICATED, details: error.message }),
    );
  };
  const server = new Server();
  server.addService({ heartbeat: method }, { heartbeat });
  const { cert, key } = await ensureDevelopmentTls(home, ["127.0.0.1"]);
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  const credentials = ServerCredentials.createSsl(Buffer.from(issueClientCa()), [pair], true);
  return await new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
  });
}

const method = {
  path: `/${AgentCallback.typeName}/${AgentCallback.method.heartbeat.name}`,
  requestStream: false,
  responseStream: false,
  requestSerialize: (request: HeartbeatRequest) => Buffer.from(toBinary(HeartbeatRequestSchema, request)),
  requestDeserialize: (bytes: Buffer) => fromBinary(HeartbeatRequestSchema, bytes),
  responseSerialize: (response: HeartbeatResponse) => Buffer.from(toBinary(HeartbeatResponseSchema, response)),
  responseDeserialize: (bytes: Buffer) => fromBinary(HeartbeatResponseSchema, bytes),
};

/**
 * Public keys by address, since grpc-js parses the certificate again for each call. An address identifies a connection
 * here, because none is opened after another one has closed.
 */
const keysByAddress = new Map<string, Uint8Array>();

function getPublicKey(call: ServerUnaryCall<HeartbeatRequest, HeartbeatResponse>): Uint8Array {
  const address = call.getPeer();
  const known = keysByAddress.get(address);
  if (known !== undefined) return known;
  const certificate = call.getAuthContext().sslPeerCertificate;
  if (certificate === undefined) throw new Error("grpc-js insists on a certificate");
  const spki = new X509Certificate(certificate.raw).publicKey.export({ format: "der", type: "spki" });
  const publicKey = new Uint8Array(spki.subarray(-32));
  keysByAddress.set(address, publicKey);
  return publicKey;
}

const [, , name = "", databaseUrl = "", folder = ""] = process.argv;
const createStore = stores[name];
if (createStore === undefined) throw new Error(`which store? One of ${Object.keys(stores).join(", ")}`);
process.stdout.write(`${await serve(createStore(databaseUrl), folder)}\n`);
