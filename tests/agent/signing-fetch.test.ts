import { createHash, createPublicKey, verify } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { describe, expect, onTestFinished, test } from "vitest";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type AgentKey, createAgentKey } from "../../src/agent/agent-key.ts";
import { createNodeFetch } from "../../src/agent/node-fetch.ts";
import { createSigningAgentClient } from "../../src/agent/signing-agent-client.ts";
import { SigningClock } from "../../src/agent/signing-clock.ts";
import { createSigningFetch } from "../../src/agent/signing-fetch.ts";
import {
  type AgentSignature,
  agentSignatureBase,
  findAgentSignature,
  maxClockSkewSeconds,
} from "../../src/contract/agent-signature.ts";
import { parseContentDigest } from "../../src/contract/content-digest.ts";

const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const key = await createAgentKey(new Uint8Array(32).fill(9));
const hourMs = 3_600_000;

interface SignedServer {
  readonly url: string;
  /** How often it was called, refusals included. */
  calls: number;
  /** The signatures that it took. */
  readonly accepted: AgentSignature[];
  /** Milliseconds that its clock is ahead. */
  aheadMs: number;
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

async function listen(listener: Listener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function field(request: IncomingMessage, name: string): string {
  return String(request.headers[name] ?? "");
}

function readSignature(request: IncomingMessage): AgentSignature {
  const signature = findAgentSignature({
    signatureInput: field(request, "signature-input"),
    signature: field(request, "signature"),
  });
  if (signature === undefined) throw new Error("the request has no signature of an agent");
  return signature;
}

function isSignedBy(by: AgentKey, request: IncomingMessage, body: Buffer): boolean {
  const contentDigest = field(request, "content-digest");
  const parsed = readSignature(request);
  const authority = field(request, "host");
  const { method = "", url: path = "" } = request;
  const base = agentSignatureBase({ method, scheme: "http", authority, path, contentDigest }, parsed);
  const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(by.publicKey).toString("base64url") };
  const digest = createHash("sha256").update(body).digest();
  return (
    digest.equals(parseContentDigest(contentDigest).get("sha-256") ?? Buffer.alloc(0)) &&
    verify(null, Buffer.from(base), createPublicKey({ key: jwk, format: "jwk" }), parsed.signature)
  );
}

/** Answers an empty heartbeat to what is signed by `key`, within the permitted skew, and with a nonce that grows. */
async function startSignedServer(aheadMs = 0): Promise<SignedServer> {
  const accepted: AgentSignature[] = [];
  const listener: Listener = async (request, response) => {
    server.calls += 1;
    const body = await buffer(request);
    const nowMs = Date.now() + server.aheadMs;
    const parsed = readSignature(request);
    const timely = Math.abs(parsed.created - nowMs / 1000) <= maxClockSkewSeconds;
    const fresh = parsed.nonce > (accepted.at(-1)?.nonce ?? -1n);
    response.setHeader("date", new Date(nowMs).toUTCString());
    if (timely && fresh && isSignedBy(key, request, body)) {
      accepted.push(parsed);
      response.writeHead(200, { "content-type": field(request, "content-type") }).end();
    } else {
      const refusal = { code: "unauthenticated", message: "machine id or public key unknown" };
      response.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify(refusal));
    }
  };
  const server: SignedServer = { url: await listen(listener), calls: 0, accepted, aheadMs };
  return server;
}

describe("a signed heartbeat", () => {
  test("is authentic to a server that checks digest, signature, time and nonce", async () => {
    const server = await startSignedServer();
    const client = createSigningAgentClient({ endpoint: server.url, machineId, key });
    await client.heartbeat({ machineId });
    await client.heartbeat({ machineId });
    expect(server.accepted.map((signature) => signature.machineId)).toEqual([machineId, machineId]);
    expect(server.calls).toBe(2);
  });

  test("is authentic by Node's own http, too", async () => {
    const server = await startSignedServer();
    const client = createSigningAgentClient({ endpoint: server.url, machineId, key, fetch: createNodeFetch() });
    await client.heartbeat({ machineId });
    expect(server.accepted).toHaveLength(1);
  });

  test("never overtakes another one, whose nonce would count as a replay then", async () => {
    const server = await startSignedServer();
    const client = createSigningAgentClient({ endpoint: server.url, machineId, key });
    await Promise.all(Array.from({ length: 20 }, () => client.heartbeat({ machineId })));
    expect(server.accepted).toHaveLength(20);
    expect(server.calls).toBe(20);
  });

  test("that waits for another one still meets its own deadline", async () => {
    const url = await listen(() => {});
    const client = createSigningAgentClient({ endpoint: url, machineId, key });
    const first = client.heartbeat({ machineId }, { timeoutMs: 5000 }).catch(() => {});
    await expect(client.heartbeat({ machineId }, { timeoutMs: 100 })).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
    });
    void first;
  });
});

describe("a machine whose clock is wrong", () => {
  test.each([3 * hourMs, -3 * hourMs])(
    "by %d ms is heard at the second try, and at the first from then on",
    async (aheadMs) => {
      const server = await startSignedServer(aheadMs);
      const client = createSigningAgentClient({ endpoint: server.url, machineId, key });
      await client.heartbeat({ machineId });
      expect(server.calls).toBe(2);
      await client.heartbeat({ machineId });
      expect(server.calls).toBe(3);
    },
  );

  test("is heard after a restart of the agent, because no nonce of the wrong time was used up", async () => {
    const server = await startSignedServer();
    const tomorrow = new SigningClock(() => Date.now() + 24 * hourMs);
    await createSigningAgentClient({ endpoint: server.url, machineId, key, clock: tomorrow }).heartbeat({ machineId });
    await createSigningAgentClient({ endpoint: server.url, machineId, key }).heartbeat({ machineId });
    expect(server.accepted).toHaveLength(2);
  });

  test("is heard after a restart of the agent, also when a proxy failed before the server could be heard", async () => {
    const server = await startSignedServer(-3 * hourMs);
    let isProxyDown = true;
    const fetch: typeof globalThis.fetch = async (input) => {
      if (!isProxyDown) return await globalThis.fetch(input);
      isProxyDown = false;
      return new Response("bad gateway", { status: 502 });
    };
    const client = createSigningAgentClient({ endpoint: server.url, machineId, key, fetch });
    await expect(client.heartbeat({ machineId })).rejects.toMatchObject({ code: Code.Unavailable });
    await client.heartbeat({ machineId });
    // The Date field has whole seconds, and so have the nonces that follow from it.
    server.aheadMs += 2000;
    await createSigningAgentClient({ endpoint: server.url, machineId, key }).heartbeat({ machineId });
    expect(server.accepted).toHaveLength(2);
  });

  test("follows a server whose clock is put right later", async () => {
    const server = await startSignedServer(3 * hourMs);
    const client = createSigningAgentClient({ endpoint: server.url, machineId, key });
    await client.heartbeat({ machineId });
    server.aheadMs = 4 * hourMs;
    await client.heartbeat({ machineId });
    expect(server.accepted).toHaveLength(2);
  });

  test("is refused by a server that does not know it after one more try, not for ever", async () => {
    const server = await startSignedServer(3 * hourMs);
    const stranger = await createAgentKey(new Uint8Array(32).fill(8));
    const client = createSigningAgentClient({ endpoint: server.url, machineId, key: stranger });
    await expect(client.heartbeat({ machineId })).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(server.calls).toBe(2);
  });
});

test("an unknown key is refused at the first try when the clocks agree", async () => {
  const server = await startSignedServer();
  const stranger = await createAgentKey(new Uint8Array(32).fill(8));
  const client = createSigningAgentClient({ endpoint: server.url, machineId, key: stranger });
  await expect(client.heartbeat({ machineId })).rejects.toMatchObject({ code: Code.Unauthenticated });
  expect(server.calls).toBe(1);
});

test.each([
  ["Connect", createConnectTransport],
  ["gRPC-Web", createGrpcWebTransport],
])("a refusal that %s carries in its own way corrects the clock", async (_protocol, createTransport) => {
  const tries: number[] = [];
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(AgentCallback, {
        heartbeat: (_, context) => {
          const signatureInput = context.requestHeader.get("signature-input") ?? "";
          const signature = context.requestHeader.get("signature") ?? "";
          const created = findAgentSignature({ signatureInput, signature })?.created ?? 0;
          tries.push(created);
          const serverMs = Date.now() + 3 * hourMs;
          context.responseHeader.set("date", new Date(serverMs).toUTCString());
          if (Math.abs(created - serverMs / 1000) > 60) {
            throw new ConnectError("no", Code.Unauthenticated, { date: new Date(serverMs).toUTCString() });
          }
          return {};
        },
      }),
  });
  const url = await listen(handler);
  const fetch = createSigningFetch({ machineId, key });
  await createClient(AgentCallback, createTransport({ baseUrl: url, fetch })).heartbeat({ machineId });
  expect(tries).toHaveLength(2);
});

describe("the clock of signatures", () => {
  test("gives nonces that grow when it is asked twice at once, and when it is set back", () => {
    let now = 1_000_000;
    const clock = new SigningClock(() => now);
    const nonces = [clock.next().nonce, clock.next().nonce];
    now -= 5000;
    nonces.push(clock.next().nonce);
    expect(nonces).toEqual([1_000_000_000n, 1_000_000_001n, 1_000_000_002n]);
  });

  test("gives no nonce below an accepted one, corrected or not", () => {
    const clock = new SigningClock(() => 1_000_000_000);
    const { nonce } = clock.next();
    clock.accept(nonce);
    clock.correct(new Date(0).toUTCString());
    expect(clock.next()).toEqual({ created: 0, nonce: nonce + 1n });
  });

  test.each([null, "", "yesterday"])("learns nothing from the Date field %j", (date) => {
    const clock = new SigningClock(() => 5_000);
    expect(clock.differsFrom(date)).toBe(false);
    clock.correct(date);
    expect(clock.next().created).toBe(5);
  });
});
