/** Which proof counts of a call that has a client certificate, signatures, or both. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { Agent, request } from "node:https";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../../src/agent/client-certificate.ts";
import { signRequest } from "../../../src/agent/request-signing.ts";
import { issueCertificate, noExpiry } from "../../../src/tls/issue-certificate.ts";
import { heartbeatPath } from "../../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { machineWithAgent, readTags, type TestMachine } from "../../support/machine.ts";
import { callHttp2 } from "../../support/raw-connection.ts";
import { startTestServer, type TestServer } from "../../support/server.ts";

type Fields = Record<string, string>;
type Certificate = { cert: string; key: string };

let database: TestDatabase;
let machine: TestMachine;
let other: TestMachine;
let nonce = BigInt(Date.now()) * 1000n;

beforeAll(async () => {
  database = await createTestDatabase();
  other = await machineWithAgent(database.db);
});
afterAll(() => database?.close());

const bodyOf = ({ machineId }: TestMachine) => JSON.stringify({ machineId });

/** The fields of an agent's signature over the heartbeat of `machine`. */
function sign(server: TestServer, { machineId, key }: TestMachine, keepTime = true): Promise<Fields> {
  const url = new URL(heartbeatPath, server.agentUrl);
  const created = Math.floor(Date.now() / 1000) - (keepTime ? 0 : 3600);
  nonce++;
  const body = new TextEncoder().encode(bodyOf(machine));
  return signRequest({ method: "POST", url, body }, { machineId, key, created, nonce });
}

const foreign = {
  input: 'proxy=("@method" "@path");created=1618884473;keyid="edge"',
  signature: `proxy=:${randomBytes(256).toString("base64")}:`,
};

/** Another party's fields before the agent's. */
const beside = (fields: Fields): Fields => ({
  ...fields,
  "signature-input": `${foreign.input};tag="edge", ${fields["signature-input"]}`,
  signature: `${foreign.signature}, ${fields.signature}`,
});

/** The fields of no, another party's, or the agent's signature. */
const signatures: Record<string, (server: TestServer) => Fields | Promise<Fields>> = {
  "no signature": () => ({}),
  "a foreign tag": () => ({ "signature-input": `${foreign.input};tag="edge"`, signature: foreign.signature }),
  "a foreign label and no tag": () => ({ "signature-input": foreign.input, signature: foreign.signature }),
  "our label and no tag": () => ({ "signature-input": "bmaas=()", signature: "bmaas=:AA==:" }),
  "a foreign tag without its Signature": () => ({ "signature-input": `${foreign.input};tag="edge"` }),
  "Signature alone": () => ({ signature: foreign.signature }),
  "Signature alone, unparsable": () => ({ signature: "((((" }),
  "ours, valid": (server) => sign(server, machine),
  "ours, valid, beside a foreign one": async (server) => beside(await sign(server, machine)),
  "ours, by another key": async (server) => sign(server, { ...machine, key: await generateAgentKey() }),
  "ours, by another key, beside a foreign one": async (server) =>
    beside(await sign(server, { ...machine, key: await generateAgentKey() })),
  "ours, too old": (server) => sign(server, machine, false),
  "ours, malformed": () => ({ "signature-input": 'x=();tag="bmaas-agent"', signature: "x=:AA==:" }),
  "ours, without Signature": async (server) => {
    const { signature: _dropped, ...fields } = await sign(server, machine);
    return fields;
  },
  "ours, for another machine": (server) => sign(server, other),
  "ours, twice": async (server) => {
    const { "signature-input": input = "", signature = "", ...fields } = await sign(server, machine);
    return {
      ...fields,
      "signature-input": `${input}, x=${input.slice("bmaas=".length)}`,
      signature: `${signature}, x=${signature.slice("bmaas=".length)}`,
    };
  },
  "an unparsable Signature-Input": async (server) => {
    const fields = await sign(server, machine);
    return { ...fields, "signature-input": `${fields["signature-input"]}, ((((` };
  },
};

/**
 * What becomes of a call with the certificate of its machine, with none, with a stranger's, and with one of another
 * kind of key.
 */
const outcomes: [keyof typeof signatures, own: Outcome, none: Outcome, strangers: Outcome, rsa: Outcome][] = [
  ["no signature", "counts", "no proof", "unknown", "bad certificate"],
  ["a foreign tag", "counts", "no proof", "unknown", "bad certificate"],
  ["a foreign label and no tag", "counts", "no proof", "unknown", "bad certificate"],
  ["our label and no tag", "counts", "no proof", "unknown", "bad certificate"],
  ["a foreign tag without its Signature", "counts", "no proof", "unknown", "bad certificate"],
  ["Signature alone", "counts", "no proof", "unknown", "bad certificate"],
  ["Signature alone, unparsable", "counts", "no proof", "unknown", "bad certificate"],
  ["ours, valid", "counts", "counts", "counts", "counts"],
  ["ours, valid, beside a foreign one", "counts", "counts", "counts", "counts"],
  ["ours, by another key", "unknown", "unknown", "unknown", "unknown"],
  ["ours, by another key, beside a foreign one", "unknown", "unknown", "unknown", "unknown"],
  ["ours, too old", "bad signature", "bad signature", "bad signature", "bad signature"],
  ["ours, malformed", "bad signature", "bad signature", "bad signature", "bad signature"],
  ["ours, without Signature", "bad signature", "bad signature", "bad signature", "bad signature"],
  ["ours, for another machine", "unknown", "unknown", "unknown", "unknown"],
  ["ours, twice", "bad signature", "bad signature", "bad signature", "bad signature"],
  ["an unparsable Signature-Input", "bad signature", "bad signature", "bad signature", "bad signature"],
];

const texts = {
  counts: /nextHeartbeatAfter/,
  "no proof": /neither a client certificate nor a signature with tag=/,
  unknown: /machine id or public key unknown/,
  "bad certificate": /the client certificate's key is not an Ed25519 key/,
  "bad signature": /signature-input|the signature was created/,
} as const;
type Outcome = keyof typeof texts;

function rsaCertificate(): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const certificate = issueCertificate(
    { subject: "", publicKey, notBefore: new Date(), notAfter: noExpiry, extensions: [] },
    { name: "", privateKey },
  );
  return { cert: certificate.toString(), key: privateKey.export({ format: "pem", type: "pkcs8" }).toString() };
}

type Send = (
  server: TestServer,
  certificate: Certificate | undefined,
  fields: Fields,
) => Promise<{ status: number | undefined; text: string }>;

const sendHttp1: Send = (server, certificate, fields) =>
  new Promise((resolve, reject) => {
    const agent = new Agent({ ca: server.ca, ...certificate });
    const headers = { "content-type": "application/json", ...fields };
    request(new URL(heartbeatPath, server.agentUrl), { method: "POST", agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response
        .on("data", (chunk: Buffer) => chunks.push(chunk))
        .on("end", () => {
          agent.destroy();
          resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() });
        });
    })
      .on("error", reject)
      .end(bodyOf(machine));
  });

const sendHttp2: Send = async (server, certificate, fields) => {
  const session = connectHttp2(server.agentUrl, { ca: server.ca, ...certificate });
  const { status, body } = await callHttp2(session, fields, bodyOf(machine));
  session.close();
  return { status, text: body.toString() };
};

describe.each(["on", "off"])("with the lane %s", (lane) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer(database.url, { BMAAS_UNARY_LANE: lane });
  });
  afterAll(() => server?.close());

  describe.each([
    ["HTTP/1.1", sendHttp1],
    ["HTTP/2", sendHttp2],
  ])("over %s", (_version, send) => {
    test.each(outcomes)(
      "%s: with the machine's certificate %s, without %s, with a stranger's %s, with an RSA key's %s",
      async (signature, ...expected) => {
        const certificates = [
          (one: TestMachine) => createClientCertificate(one.key),
          () => undefined,
          async () => createClientCertificate(await generateAgentKey()),
          rsaCertificate,
        ];
        for (const [index, outcome] of expected.entries()) {
          machine = await machineWithAgent(database.db);
          const fields = (await signatures[signature]?.(server)) ?? {};
          const answer = await send(server, await certificates[index]?.(machine), fields);
          expect(answer).toEqual({
            status: outcome === "counts" ? 200 : 401,
            text: expect.stringMatching(texts[outcome]),
          });
          const { heartbeat } = await readTags(database, machine.machineId);
          expect(heartbeat !== undefined).toBe(outcome === "counts");
        }
      },
    );
  });
});
