import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { createAgentClient } from "../../src/agent/agent-client.ts";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { startHeartbeatServer } from "./support/heartbeat-server.ts";

test("the certificate carries the key and one name for all agents, from now on, without an expiry, signed by itself", async () => {
  const key = await generateAgentKey();
  const certificate = new X509Certificate(createClientCertificate(key).cert);
  expect(certificate.subject).toBe("CN=bmaas agent");
  // Java reads no certificate with an empty issuer, nor does RFC 5280 section 4.1.2.4 allow one.
  expect(certificate.issuer).toBe("CN=bmaas agent");
  expect(Math.abs(certificate.validFromDate.getTime() - Date.now())).toBeLessThan(5000);
  expect(certificate.raw.includes(Buffer.from("99991231235959Z"))).toBe(true);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.publicKey.export({ format: "jwk" }).x).toBe(Buffer.from(key.publicKey).toString("base64url"));
});

test("a TLS server that asks for a certificate is shown the agent's public key", async () => {
  const key = await generateAgentKey();
  const server = await startHeartbeatServer(() => ({ installationRequest: { generation: 7n } }));
  const client = createAgentClient({ endpoint: server.url, key, ca: server.ca });
  const answer = await client.heartbeat({ machineId: "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11" });
  expect(answer.installationRequest?.generation).toBe(7n);
  expect(server.peers[0]?.publicKey.export({ format: "jwk" }).x).toBe(Buffer.from(key.publicKey).toString("base64url"));
});

test("a server whose certificate leads to no trusted CA is not spoken to", async () => {
  const server = await startHeartbeatServer(() => ({}));
  const client = createAgentClient({ endpoint: server.url, key: await generateAgentKey() });
  await expect(client.heartbeat({ machineId: "m" })).rejects.toThrow(/certificate/);
  expect(server.requests).toEqual([]);
});

test("a call whose deadline passed leaves no connection behind for the next one to wait on", async () => {
  const never = new Promise<never>(() => {});
  let isStuck = true;
  const server = await startHeartbeatServer(() => (isStuck ? never : {}));
  const client = createAgentClient({ endpoint: server.url, key: await generateAgentKey(), ca: server.ca });
  await expect(client.heartbeat({ machineId: "m" }, { timeoutMs: 2000 })).rejects.toThrow(/deadline_exceeded/);
  isStuck = false;
  await client.heartbeat({ machineId: "m" });
  expect(server.peers).toHaveLength(2);
});
