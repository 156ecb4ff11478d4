/** Enrolments that are refused: by which code, in which words, and that nothing of them is stored. */
import { randomBytes } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import { EnrolRequestSchema } from "../../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { createAgentKey, generateAgentKey } from "../../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../../src/agent/client-certificate.ts";
import { type RequestSigner, signRequest } from "../../../src/agent/request-signing.ts";
import { machineEnrolment } from "../../../src/db/schema/index.ts";
import { heartbeatPath } from "../../support/agents.ts";
import { countEnrolments, enrolPath, findEnrolment } from "../../support/enrolments.ts";
import { machineWithAgent } from "../../support/machine.ts";
import { callHttp2, frameMessage } from "../../support/raw-connection.ts";
import { startServerWithDatabase, startTestServer, type TestServer } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const other = await startTestServer(database.url, { BMAAS_UNARY_LANE: "off" });

beforeEach(async () => {
  await database.db.delete(machineEnrolment);
});

interface Call {
  readonly place?: TestServer;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
  readonly certificate?: { cert: string; key: string };
  readonly path?: string;
}

/** Sends one request as it is given, and returns its status and what the answer says. */
async function send({ place = server, headers, body = "{}", certificate, path = enrolPath }: Call) {
  const session = connectHttp2(place.agentUrl, { ca: place.ca, ...certificate });
  try {
    const answer = await callHttp2(
      session,
      { ":path": path, "content-type": "application/json", ...headers },
      Buffer.from(body),
    );
    return { status: answer.status, text: answer.body.toString() };
  } finally {
    session.destroy();
  }
}

async function sign(changes: Partial<RequestSigner> & { body?: string; path?: string; place?: TestServer } = {}) {
  const { body = "{}", path = enrolPath, place = server, ...signer } = changes;
  return await signRequest(
    { method: "POST", url: new URL(place.agentUrl + path), body: new TextEncoder().encode(body) },
    {
      machineId: undefined,
      key: await generateAgentKey(),
      created: Math.floor(Date.now() / 1000),
      nonce: BigInt(Date.now()) * 1000n,
      ...signer,
    },
  );
}

const newCertificate = async () => createClientCertificate(await generateAgentKey());
const lanes: [string, TestServer][] = [
  ["the default", server],
  ["no lane", other],
];

describe.each(lanes)("with %s", (_lane, place) => {
  test.each([
    ["a report that ends too early", Uint8Array.from([0x0a, 0x02, 0x0a, 0x05]), /hardware_report/],
    ["a text that is not UTF-8", Uint8Array.from([0x12, 0x01, 0xff]), /not valid for encoding utf-8/],
    ["no message", Uint8Array.from([0x00, 0x00]), /cannot be decoded/],
  ])("%s is invalid_argument", async (_what, body, words) => {
    const certificate = await newCertificate();
    const connect = await send({ place, certificate, body, headers: { "content-type": "application/proto" } });
    expect([connect.status, connect.text]).toEqual([400, expect.stringMatching(words)]);
    const web = { "content-type": "application/grpc-web+proto" };
    const framed = await send({ place, certificate, body: frameMessage(body), headers: web });
    expect(framed.text).toMatch(/grpc-status: 3\r\n/);
    expect(await countEnrolments(database)).toBe(0);
  });

  test("a misspelt field is invalid_argument", async () => {
    const answer = await send({ place, certificate: await newCertificate(), body: '{"serialNumber":"SN-1"}' });
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining("serialNumber")]);
    expect(await countEnrolments(database)).toBe(0);
  });

  test("a compressed body is unimplemented, and one above 16 KiB resource_exhausted", async () => {
    const certificate = await newCertificate();
    const gzip = { "content-encoding": "gzip" };
    expect(await send({ place, certificate, body: gzipSync("{}"), headers: gzip })).toMatchObject({
      text: expect.stringMatching(/"unimplemented","message":"an enrolment must not be compressed/),
    });
    const warning = "w".repeat(16_384);
    const body = toBinary(EnrolRequestSchema, create(EnrolRequestSchema, { hardwareReport: { warning: [warning] } }));
    expect(await send({ place, certificate, body, headers: { "content-type": "application/proto" } })).toMatchObject({
      status: 429,
      text: expect.stringContaining("an enrolment has 16384 bytes at most"),
    });
    expect(await countEnrolments(database)).toBe(0);
  });

  test("a report that is larger than its JSON, and than what is stored, is invalid_argument", async () => {
    const supportedSpeedBytes = Array.from({ length: 5000 }, () => -1);
    const body = JSON.stringify({ hardwareReport: { report: { networkInterface: [{ supportedSpeedBytes }] } } });
    expect(await send({ place, certificate: await newCertificate(), body })).toMatchObject({
      status: 400,
      text: expect.stringMatching(/hardware_report: has 50\d{3} bytes in binary form, and at most 16384 are stored/),
    });
    expect(await countEnrolments(database)).toBe(0);
  });

  test("no proof is unauthenticated", async () => {
    expect(await send({ place })).toMatchObject({
      status: 401,
      text: expect.stringContaining("neither a client certificate nor a signature"),
    });
    expect(await countEnrolments(database)).toBe(0);
  });
});

describe("keys that prove nothing are unauthenticated", () => {
  test("one whose private half is printed in an RFC, by either proof", async () => {
    const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const key = await createAgentKey(Buffer.from(seed, "hex"));
    for (const call of [{ certificate: createClientCertificate(key) }, { headers: await sign({ key }) }]) {
      expect(await send(call)).toMatchObject({ status: 401, text: expect.stringContaining("is public (RFC 8032") });
    }
    expect(await countEnrolments(database)).toBe(0);
  });

  test("one of small order, for which one signature fits everything", async () => {
    const publicKey = Uint8Array.from([1, ...new Uint8Array(31)]);
    const signature = Uint8Array.from([1, ...new Uint8Array(63)]);
    const headers = await sign({ key: { publicKey, sign: async () => signature } });
    expect(await send({ headers })).toMatchObject({
      status: 401,
      text: expect.stringContaining("an Ed25519 key of small order is not secure"),
    });
    expect(await countEnrolments(database)).toBe(0);
  });
});

describe("signatures that prove nothing are unauthenticated", () => {
  const now = () => Math.floor(Date.now() / 1000);
  test.each<[string, () => Promise<Record<string, string>>, RegExp]>([
    [
      "by another key than it names",
      async () => {
        const other = await generateAgentKey();
        const { publicKey } = await generateAgentKey();
        return await sign({ key: { publicKey, sign: (message) => other.sign(message) } });
      },
      /not by the key that its keyid is/,
    ],
    [
      "with a machine id for a key",
      async () => sign({ machineId: "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11" }),
      /keyid is not a public key, 64 hexadecimal digits in lower case/,
    ],
    [
      "with a key in upper case",
      async () => {
        const headers = await sign();
        const input = headers["signature-input"].replace(/keyid="[^"]*"/, (keyid) => keyid.toUpperCase());
        return { ...headers, "signature-input": input.replace("KEYID", "keyid") };
      },
      /keyid is not a public key/,
    ],
    ["too old", () => sign({ created: now() - 62 }), /created 6\d s before/],
    ["for another path", () => sign({ path: heartbeatPath }), /not by the key/],
    [
      "of another server",
      async () => sign({ place: { ...server, agentUrl: "https://bmaas.example" } }),
      /not by the key/,
    ],
    ["of another body", () => sign({ body: "{ }" }), /does not match the body/],
  ])("%s", async (_what, makeHeaders, words) => {
    const answer = await send({ headers: await makeHeaders() });
    expect([answer.status, answer.text]).toEqual([401, expect.stringMatching(words)]);
    expect(await countEnrolments(database)).toBe(0);
  });

  test("a heartbeat whose keyid is a key", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    const body = JSON.stringify({ machineId });
    const headers = await sign({ key, body, path: heartbeatPath });
    expect(await send({ headers, body, path: heartbeatPath })).toMatchObject({
      status: 401,
      text: expect.stringContaining("keyid is not a machine id"),
    });
  });

  test("a second time, on any server, and for a key that a machine has", async () => {
    const key = await generateAgentKey();
    const body = JSON.stringify({ bootId: "b1" });
    const headers = await sign({ key, body });
    expect((await send({ headers, body })).status).toBe(200);
    const before = await findEnrolment(database, key);
    expect(await send({ headers, body })).toMatchObject({ status: 401, text: expect.stringContaining("nonce") });
    const elsewhere = await sign({ key, body, place: other, nonce: before?.signatureNonce as bigint });
    expect((await send({ place: other, headers: elsewhere, body })).status).toBe(401);
    expect(await findEnrolment(database, key)).toEqual(before);
    const machine = await machineWithAgent(database.db);
    const { machineId } = machine;
    const beat = JSON.stringify({ machineId });
    const nonce = BigInt(Date.now()) * 1000n + 10_000_000n;
    const heartbeat = await sign({ ...machine, body: beat, path: heartbeatPath, nonce });
    expect((await send({ headers: heartbeat, body: beat, path: heartbeatPath })).status).toBe(200);
    const earlier = await sign({ key: machine.key, nonce });
    expect((await send({ headers: earlier })).status).toBe(401);
    expect((await send({ headers: await sign({ key: machine.key, nonce: nonce + 1n }) })).status).toBe(200);
  });
});

test("a refusal is logged with the key that was named", async () => {
  const key = await generateAgentKey();
  await send({ headers: await sign({ key: { publicKey: key.publicKey, sign: async () => randomBytes(64) } }) });
  expect(server.logged).toContainEqual(
    expect.objectContaining({ level: 40, publicKey: key.publicKeyHex, msg: "refused an agent's identity" }),
  );
});

test("an address that enrols too often is refused for a while, and its agents are not", async () => {
  await using fresh = await startTestServer(database.url);
  const session = connectHttp2(fresh.agentUrl, { ca: fresh.ca });
  const headers = { ":path": enrolPath, "content-type": "application/json" };
  let refusal = "";
  for (let round = 0; round < 50 && refusal === ""; round++) {
    const answers = await Promise.all(Array.from({ length: 90 }, () => callHttp2(session, headers, Buffer.from("{}"))));
    refusal = answers.find(({ status }) => status === 429)?.body.toString() ?? "";
  }
  session.destroy();
  expect(refusal).toContain("too many enrolments come from your address: retry later");
  const { machineId, key } = await machineWithAgent(database.db);
  const certificate = createClientCertificate(key);
  const body = JSON.stringify({ machineId });
  expect((await send({ place: fresh, certificate, path: heartbeatPath, body })).status).toBe(200);
});
