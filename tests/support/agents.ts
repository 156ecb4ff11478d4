/** Clients that send the same heartbeat in every way in which an agent can. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import * as grpc from "@grpc/grpc-js";
import {
  AgentCallback,
  type HeartbeatRequest,
  HeartbeatRequestSchema,
  type HeartbeatResponse,
  HeartbeatResponseSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AgentKey } from "../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { createNodeFetch } from "../../src/agent/node-fetch.ts";
import { createSigningFetch } from "../../src/agent/signing-fetch.ts";
import type { TestMachine } from "./machine.ts";
import type { TestServer } from "./server.ts";

/** Fields of a heartbeat. */
export type HeartbeatInit = MessageInitShape<typeof HeartbeatRequestSchema>;

/** An agent that sends heartbeats. They reject with ConnectError, whatever the protocol. */
export interface TestAgent extends Disposable {
  heartbeat(request: HeartbeatInit): Promise<HeartbeatResponse>;
}

/** Full path of the method Heartbeat. */
export const heartbeatPath = "/cloud.bmaas.server.api.AgentCallback/Heartbeat";

/**
 * Creates an agent with a stock gRPC client, as agents in the field use, and with an ephemeral Ed25519 certificate or
 * none.
 */
export function grpcAgent(server: Pick<TestServer, "agentUrl" | "ca">, key?: AgentKey): TestAgent {
  const { cert, key: privateKey } = key === undefined ? {} : createClientCertificate(key);
  const client = new grpc.Client(
    new URL(server.agentUrl).host,
    grpc.credentials.createSsl(
      Buffer.from(server.ca),
      privateKey === undefined ? null : Buffer.from(privateKey),
      cert === undefined ? null : Buffer.from(cert),
    ),
    { "grpc.enable_retries": 0, "grpc.use_local_subchannel_pool": 1 },
  );
  return {
    heartbeat: (init) => callByGrpc(client, create(HeartbeatRequestSchema, init)),
    [Symbol.dispose]: () => client.close(),
  };
}

function callByGrpc(client: grpc.Client, request: HeartbeatRequest): Promise<HeartbeatResponse> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest<HeartbeatRequest, HeartbeatResponse>(
      heartbeatPath,
      (message) => Buffer.from(toBinary(HeartbeatRequestSchema, message)),
      (bytes) => fromBinary(HeartbeatResponseSchema, bytes),
      request,
      { deadline: Date.now() + 10_000 },
      (error, response) => {
        // grpc-js does not decode escapes of reserved characters in the message, although gRPC's specification requires
        // it.
        if (error !== null) reject(new ConnectError(decodeURIComponent(error.details), error.code as number as Code));
        else resolve(response as HeartbeatResponse);
      },
    );
  });
}

/** Protocol of a signing agent. */
export type SignedProtocol = "connect-json" | "connect-binary" | "grpc-web";

/** Creates an agent that signs its requests and presents no certificate. */
export function signingAgent(
  server: Pick<TestServer, "agentUrl" | "ca">,
  { machineId, key }: TestMachine,
  protocol: SignedProtocol,
): TestAgent {
  const fetch = createSigningFetch({ machineId, key, fetch: createNodeFetch({ ca: server.ca }) });
  const transport =
    protocol === "grpc-web"
      ? createGrpcWebTransport({ baseUrl: server.agentUrl, fetch })
      : createConnectTransport({ baseUrl: server.agentUrl, fetch, useBinaryFormat: protocol === "connect-binary" });
  const client: Client<typeof AgentCallback> = createClient(AgentCallback, transport);
  return { heartbeat: (init) => client.heartbeat(init, { timeoutMs: 10_000 }), [Symbol.dispose]: () => {} };
}

/** Returns the code with which a call fails, or "ok" if it succeeds. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    return Code[ConnectError.from(error).code] ?? "unknown code";
  }
}
