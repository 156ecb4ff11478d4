/**
 * A machine's id in the spellings that agents of the field may use names one machine, by either proof; operators have
 * one spelling.
 */
import { createPrivateKey, sign } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { beforeEach, describe, expect, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { formatContentDigest, sha256 } from "../../src/contract/content-digest.ts";
import { heartbeatPath } from "../support/agents.ts";
import { errorOf } from "../support/call-error.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { callHttp2 } from "../support/raw-connection.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
let machine: TestMachine;
let nonce = BigInt(Date.now()) * 1000n;

beforeEach(async () => {
  machine = await machineWithAgent(database.db);
});

const spellings: Record<string, (id: string) => string> = {
  canonical: (id) => id,
  "in upper case": (id) => id.toUpperCase(),
  "after urn:uuid:": (id) => `urn:uuid:${id}`,
  "after URN:UUID: in upper case": (id) => `URN:UUID:${id.toUpperCase()}`,
  "in braces": (id) => `{${id}}`,
  "without hyphens": (id) => id.replaceAll("-", ""),
  "without hyphens, in upper case": (id) => id.replaceAll("-", "").toUpperCase(),
};
const names = Object.keys(spellings);
const spell = (name: string) => spellings[name]?.(machine.machineId) ?? "";

async function call(body: string, options: { headers?: Record<string, string>; certificate?: object }) {
  const session = connectHttp2(server.agentUrl, { ca: server.ca, ...options.certificate });
  const answer = await callHttp2(session, { ...options.headers }, body);
  session.destroy();
  return { status: answer.status, body: JSON.parse(answer.body.toString()) };
}

/** Signs as another implementation would, which spells its key id as it likes. */
async function signAs(keyid: string, body: string): Promise<Record<string, string>> {
  nonce += 1n;
  const contentDigest = formatContentDigest(await sha256(Buffer.from(body)));
  const covered =
    `("@method" "@authority" "@path" "content-digest");created=${Math.floor(Date.now() / 1000)}` +
    `;nonce="${nonce}";keyid="${keyid}";alg="ed25519";tag="bmaas-agent"`;
  const base =
    `"@method": POST\n"@authority": ${new URL(server.agentUrl).host}\n"@path": ${heartbeatPath}\n` +
    `"content-digest": ${contentDigest}\n"@signature-params": ${covered}`;
  const signature = sign(null, Buffer.from(base), createPrivateKey(machine.key.exportPem())).toString("base64");
  return { "content-digest": contentDigest, "signature-input": `a=${covered}`, signature: `a=:${signature}:` };
}

describe.each(names)("an id %s", (name) => {
  test("in the message of an agent with a certificate is the machine", async () => {
    const generation = await requestInstallation(database.db, machine.machineId);
    const certificate = createClientCertificate(machine.key);
    const answer = await call(JSON.stringify({ machineId: spell(name) }), { certificate });
    expect(answer).toMatchObject({ status: 200, body: { installationRequest: { generation: String(generation) } } });
    expect((await readTags(database, machine.machineId)).heartbeat?.machineId).toBe(machine.machineId);
  });

  test.each(names)("as a signature's key id is the machine that the message names %s", async (inMessage) => {
    const body = JSON.stringify({ machineId: spell(inMessage) });
    const answer = await call(body, { headers: await signAs(spell(name), body) });
    expect(answer.status).toBe(200);
    expect((await readTags(database, machine.machineId)).heartbeat?.signatureNonce).toBe(nonce);
  });
});

test("another spelling does not make a replayed signature a new one", async () => {
  const body = JSON.stringify({ machineId: machine.machineId });
  const headers = await signAs(spell("in braces"), body);
  expect((await call(body, { headers })).status).toBe(200);
  expect(await call(body, { headers })).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
  nonce -= 1n;
  expect((await call(body, { headers: await signAs(spell("without hyphens"), body) })).status).toBe(401);
});

test("another machine's key proves nothing in any spelling", async () => {
  const { key } = await machineWithAgent(database.db);
  for (const name of names) {
    const certificate = createClientCertificate(key);
    expect((await call(JSON.stringify({ machineId: spell(name) }), { certificate })).status).toBe(401);
  }
  expect((await readTags(database, machine.machineId)).heartbeat).toBeUndefined();
});

test.each(names.filter((name) => !/canonical|^in upper case$/.test(name)))(
  "operators, whose contract has one form of ids, are told so for one %s",
  async (name) => {
    const { secret } = await tokenOf(database.db, "viewer");
    const error = await errorOf(
      adminClient(MachineService, server.adminUrl, secret).getMachine({ machineId: spell(name) }),
    );
    expect([error.code, error.fields]).toEqual(["InvalidArgument", ["machine_id"]]);
  },
);
