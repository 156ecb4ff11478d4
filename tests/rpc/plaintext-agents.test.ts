/** Agents behind a proxy that ends TLS: signatures are their proof, over both versions of HTTP in plaintext. */
import { connect as connectHttp2 } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HeartbeatRequestSchema, HeartbeatResponseSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { signRequest } from "../../src/agent/request-signing.ts";
import { SigningClock } from "../../src/agent/signing-clock.ts";
import { heartbeatPath, signingAgent } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine } from "../support/machine.ts";
import { callHttp2, frameMessage, heartbeatHead, openRaw } from "../support/raw-connection.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let database: TestDatabase;
let server: TestServer;
let machine: TestMachine;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url, { BMAAS_AGENT_TLS: "off" });
  machine = await machineWithAgent(database.db);
});

afterAll(async () => {
  await server?.close();
  await database?.close();
});

const clock = new SigningClock();

function sign(body: Uint8Array) {
  const url = new URL(heartbeatPath, server.agentUrl);
  return signRequest({ method: "POST", url, body }, { ...machine, ...clock.next() });
}

test.each(["connect-json", "connect-binary", "grpc-web"] as const)(
  "a signed heartbeat counts by %s over HTTP/1.1",
  async (protocol) => {
    const fresh = await machineWithAgent(database.db);
    expect(server.agentUrl).toMatch(/^http:/);
    using agent = signingAgent(server, fresh, protocol);
    const generation = await requestInstallation(database.db, fresh.machineId);
    expect((await agent.heartbeat({ machineId: fresh.machineId })).installationRequest?.generation).toBe(generation);
    expect((await readTags(database, fresh.machineId)).heartbeat).toBeDefined();
  },
);

/** Resolves with the generation that is pending, or with the error's code and text. */
function callByGrpc(metadata: grpc.Metadata): Promise<string> {
  const client = new grpc.Client(new URL(server.agentUrl).host, grpc.credentials.createInsecure());
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      heartbeatPath,
      (message: Uint8Array) => Buffer.from(message),
      (bytes) => fromBinary(HeartbeatResponseSchema, bytes),
      message(),
      metadata,
      (error, response) => {
        client.close();
        resolve(
          error === null
            ? String(response?.installationRequest?.generation)
            : `${error.code} ${decodeURIComponent(error.details)}`,
        );
      },
    );
  });
}

const message = () =>
  toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, { machineId: machine.machineId }));

test("a signed heartbeat counts by a stock gRPC client over HTTP/2", async () => {
  const generation = await requestInstallation(database.db, machine.machineId);
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(await sign(frameMessage(message())))) metadata.set(name, value);
  expect(await callByGrpc(metadata)).toBe(String(generation));
});

test("nothing unsigned counts, over either version of HTTP", async () => {
  const before = (await readTags(database, machine.machineId)).heartbeat;
  expect(await callByGrpc(new grpc.Metadata())).toBe(
    '16 the call has neither a client certificate nor a signature with tag="bmaas-agent"',
  );
  const body = JSON.stringify({ machineId: machine.machineId });
  const session = connectHttp2(server.agentUrl);
  expect((await callHttp2(session, {}, body)).status).toBe(401);
  session.destroy();
  using connection = await openRaw({ url: server.agentUrl });
  const head = heartbeatHead(new URL(server.agentUrl).host, { "Content-Length": body.length });
  // What proxies say of their clients' certificates proves nothing here.
  await connection.send(head.replace("\r\n\r\n", "\r\nX-Forwarded-Client-Cert: Hash=ab\r\n\r\n"), body);
  expect(await connection.until(/\}$/)).toMatch(/^HTTP\/1\.1 401 .*"unauthenticated"/s);
  expect((await readTags(database, machine.machineId)).heartbeat).toEqual(before);
});

test("a signature for the proxy's name counts where that name was configured, and only there", async () => {
  await using behind = await startTestServer(database.url, {
    BMAAS_AGENT_TLS: "off",
    BMAAS_AGENT_AUTHORITY: "agents.example.org",
  });
  const body = JSON.stringify({ machineId: machine.machineId });
  const call = async (url: URL, host: string) => {
    const headers = await signRequest(
      { method: "POST", url, body: Buffer.from(body) },
      { ...machine, ...clock.next() },
    );
    const session = connectHttp2(behind.agentUrl);
    const answer = await callHttp2(session, { ":authority": host, ...headers }, body);
    session.destroy();
    return answer.status;
  };
  const path = heartbeatPath;
  // The proxy hands on the Host that its client named.
  expect(await call(new URL(path, "http://agents.example.org"), "agents.example.org")).toBe(200);
  expect(await call(new URL(path, behind.agentUrl), new URL(behind.agentUrl).host)).toBe(401);
});
