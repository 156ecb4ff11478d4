/** Heartbeats of many machines as the bytes of whole HTTP/1.1 requests, signed before anybody looks at a clock. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { AgentCallback } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { signRequest } from "../../../src/agent/request-signing.ts";
import { createSimulatedIdentity, type SimulatedIdentity } from "../../../src/simulate/fleet-identities.ts";

/** Makes machines and registers them, past the server. */
export async function registerMachines(databaseUrl: string, count: number): Promise<SimulatedIdentity[]> {
  const secret = randomBytes(32);
  const identities = Array.from({ length: count }, (_, index) => createSimulatedIdentity(secret, index));
  const ids = identities.map(({ machineId }) => machineId);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query("insert into machine (id) select * from unnest($1::uuid[])", [ids]);
  await client.query(
    "insert into agent_started (machine_id, public_key) select * from unnest($1::uuid[], $2::bytea[])",
    [ids, identities.map(({ publicKey }) => publicKey)],
  );
  await client.end();
  return identities;
}

/** Signs `count` heartbeats in the machines' turn; they can be sent for a minute. */
export async function signHeartbeats(
  agentUrl: string,
  identities: readonly SimulatedIdentity[],
  count: number,
): Promise<Buffer[]> {
  const url = new URL(`/${AgentCallback.typeName}/${AgentCallback.method.heartbeat.name}`, agentUrl);
  const requests: Buffer[] = [];
  const firstNonce = BigInt(Date.now()) * 1_000n;
  for (let index = 0; index < count; index++) {
    const identity = identities[index % identities.length] as SimulatedIdentity;
    const body = Buffer.from(JSON.stringify({ machineId: identity.machineId }));
    const signer = { machineId: identity.machineId, key: identity, created: Math.floor(Date.now() / 1000) };
    const headers = await signRequest({ method: "POST", url, body }, { ...signer, nonce: firstNonce + BigInt(index) });
    const lines = Object.entries({
      host: url.host,
      "content-type": "application/json",
      "content-length": body.length,
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    requests.push(Buffer.concat([Buffer.from(`POST ${url.pathname} HTTP/1.1\r\n${lines.join("")}\r\n`), body]));
  }
  return requests;
}
