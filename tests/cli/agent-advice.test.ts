/** What an agent is advised to do about a refusal, by what a real server says of it. */
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAgentClient } from "../../src/agent/agent-client.ts";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { createNodeFetch } from "../../src/agent/node-fetch.ts";
import { createSigningAgentClient } from "../../src/agent/signing-agent-client.ts";
import { SigningClock } from "../../src/agent/signing-clock.ts";
import { findAdvice, readReason } from "../../src/cli/agent-advice.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { grpcAgent } from "../support/agents.ts";
import { createTestDatabase } from "../support/database.ts";
import { machineWithAgent } from "../support/machine.ts";
import { makeFolder } from "../support/program.ts";
import { startTestServer } from "../support/server.ts";
import { giveHostsAddresses } from "../support/several-addresses.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const server = await startTestServer(database.url);
afterAll(() => server.close());
const { machineId, key } = await machineWithAgent(database.db);
const endpoint = server.agentUrl;
const send = createNodeFetch({ ca: server.ca });

async function adviceFor(call: Promise<unknown>, signed: boolean): Promise<string | undefined> {
  const error = await call.then(
    () => undefined,
    (reason) => reason,
  );
  return findAdvice(error, { machineId, publicKey: key.publicKeyHex, signed });
}

const signingClient = (options: Partial<Parameters<typeof createSigningAgentClient>[0]>) =>
  createSigningAgentClient({ endpoint, machineId, key, fetch: send, ...options });

test("is to register the key that the server does not know", async () => {
  const stranger = createAgentClient({ endpoint, key: await generateAgentKey(), ca: server.ca });
  const expected = `register public key ${key.publicKeyHex} for machine ${machineId}, or check --key and --machine-id`;
  expect(await adviceFor(stranger.heartbeat({ machineId }), false)).toBe(expected);
  const signing = signingClient({ key: await generateAgentKey() });
  expect(await adviceFor(signing.heartbeat({ machineId }), true)).toContain(expected);
});

test("is to name the server as it is known where the authority is another one, as behind a proxy", async () => {
  await using elsewhere = await startTestServer(database.url, { BMAAS_AGENT_AUTHORITY: "bmaas.example:8443" });
  const client = signingClient({ endpoint: elsewhere.agentUrl, fetch: createNodeFetch({ ca: elsewhere.ca }) });
  const advice = await adviceFor(client.heartbeat({ machineId }), true);
  expect(advice).toMatch(/BMAAS_AGENT_AUTHORITY.*keep the Host field/);
  expect(advice).not.toContain("register");
});

test("is to sign where no certificate reaches the server", async () => {
  using nobody = grpcAgent(server);
  expect(await adviceFor(nobody.heartbeat({ machineId }), false)).toMatch(/^add --signed/);
});

test("is to sign where all that reaches the server is what a proxy signed", async () => {
  const passing: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("signature-input", 'proxy=("@method");keyid="edge"');
    headers.set("signature", "proxy=:AA==:");
    return send(input, { ...init, headers });
  };
  const client = createClient(AgentCallback, createConnectTransport({ baseUrl: endpoint, fetch: passing }));
  expect(await adviceFor(client.heartbeat({ machineId }), false)).toMatch(/^add --signed/);
});

test("is to let a proxy leave the header fields alone where it drops the signature", async () => {
  const dropping: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const headers = new Headers(request.headers);
    headers.delete("signature-input");
    return await send(request.url, { method: "POST", headers, body: await request.arrayBuffer() });
  };
  const client = signingClient({ fetch: dropping });
  expect(await adviceFor(client.heartbeat({ machineId }), true)).toMatch(/configure any proxy to keep all header/);
});

test("is to set the clock where the server's own cannot be learnt", async () => {
  const withoutDate: typeof fetch = async (input, init) => {
    const answer = await send(input, init);
    const headers = new Headers(answer.headers);
    headers.delete("date");
    return new Response(await answer.arrayBuffer(), { status: answer.status, headers });
  };
  const clock = new SigningClock(() => Date.now() - 60 * 60 * 1000);
  const client = signingClient({ fetch: withoutDate, clock });
  expect(await adviceFor(client.heartbeat({ machineId }), true)).toMatch(/^set this machine's clock/);
});

test("is to look for another agent where a nonce was used before", async () => {
  const signedOnce = new SigningClock();
  const first = signedOnce.next();
  const repeating = Object.assign(new SigningClock(), { next: () => first });
  const client = signingClient({ clock: repeating });
  await client.heartbeat({ machineId });
  expect(await adviceFor(client.heartbeat({ machineId }), true)).toMatch(/check that no other agent runs/);
});

test("is to let a proxy leave the body alone where it changes it", async () => {
  const changing: typeof fetch = async (input) => {
    const request = new Request(input);
    const body = Buffer.concat([Buffer.from(await request.arrayBuffer()), Buffer.from([0x8a, 0x01, 0x01, 0x61])]);
    return await send(new Request(request.url, { method: "POST", headers: request.headers, body }));
  };
  const client = signingClient({ fetch: changing });
  expect(await adviceFor(client.heartbeat({ machineId }), true)).toMatch(/configure any proxy to keep the body/);
});

test("is to check the port where another listener answers: one without TLS, or without HTTP/2", async () => {
  const tls = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
  const onlyHttp1 = createServer({ cert: tls.cert, key: tls.key }).listen(0, "127.0.0.1");
  onTestFinished(() => void onlyHttp1.close());
  await once(onlyHttp1, "listening");
  const adviceAt = (url: string) =>
    adviceFor(createAgentClient({ endpoint: url, key, ca: tls.ca }).heartbeat({ machineId }), false);
  expect(await adviceAt(server.adminUrl.replace("http:", "https:"))).toMatch(/^check the port .* does not speak TLS$/);
  const { port } = onlyHttp1.address() as AddressInfo;
  expect(await adviceAt(`https://127.0.0.1:${port}`)).toMatch(/does not speak HTTP\/2$/);
});

test("is to check the host's name where it leads nowhere", async () => {
  const client = createAgentClient({ endpoint: "https://nowhere.invalid", key, ca: server.ca });
  expect(await adviceFor(client.heartbeat({ machineId }), false)).toMatch(/^check the host in --endpoint/);
});

test("is to check the clock where the server's certificate is not valid at the present time", async () => {
  const dayMs = 86_400_000;
  for (const offsetMs of [10 * dayMs, -400 * dayMs]) {
    const tls = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"], new Date(Date.now() + offsetMs));
    const listener = createSecureServer({ cert: tls.cert, key: tls.key }).listen(0, "127.0.0.1");
    onTestFinished(() => void listener.close());
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const client = createAgentClient({ endpoint: `https://127.0.0.1:${port}`, key, ca: tls.ca });
    expect(await adviceFor(client.heartbeat({ machineId }), false)).toMatch(/^check the dates .* clock, which says 2/);
  }
});

test.each(["by certificate", "signed"])("says why none of the server's addresses answers: %s", async (proof) => {
  giveHostsAddresses();
  const client =
    proof === "signed"
      ? signingClient({ endpoint: "http://bmaas.example:1" })
      : createAgentClient({ endpoint: "https://bmaas.example:1", key });
  const error = await client.heartbeat({ machineId }).catch((reason: ConnectError) => reason);
  expect(readReason(error as ConnectError)).toBe("connect ECONNREFUSED 127.0.0.1:1, connect ECONNREFUSED 127.0.0.2:1");
});
