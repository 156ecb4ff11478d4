/** What is refused, by which code, in which words, and that nothing of it is stored. */
import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import { HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type AgentKey, generateAgentKey } from "../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { signRequest } from "../../src/agent/request-signing.ts";
import { formatContentDigest } from "../../src/contract/content-digest.ts";
import { issueCertificate, noExpiry } from "../../src/tls/issue-certificate.ts";
import { codeOf, grpcAgent, heartbeatPath, signingAgent } from "../support/agents.ts";
import { machineWithAgent, readTags, type TestMachine } from "../support/machine.ts";
import { startServerWithDatabase, startTestServer } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
let machine: TestMachine;

beforeEach(async () => {
  machine = await machineWithAgent(database.db);
});

/** One HTTP/2 request as it is given, certificate and all. */
function send(options: {
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  certificate?: { cert: string; key: string };
  path?: string;
}): Promise<{ status: number; body: string; date: string }> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(server.agentUrl, { ca: server.ca, ...options.certificate });
    session.on("error", reject);
    const stream = session.request({
      ":method": "POST",
      ":path": options.path ?? heartbeatPath,
      "content-type": "application/json",
      ...options.headers,
    });
    const chunks: Buffer[] = [];
    let head: Record<string, unknown> = {};
    stream.on("response", (headers) => {
      head = headers;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => {
      session.close();
      resolve({ status: Number(head[":status"]), body: Buffer.concat(chunks).toString(), date: String(head.date) });
    });
    stream.end(options.body ?? JSON.stringify({ machineId: machine.machineId }));
  });
}

async function expectNothingStored(): Promise<void> {
  const { heartbeat, hardware, report } = await readTags(database, machine.machineId);
  expect([heartbeat, hardware, report]).toEqual([undefined, undefined, undefined]);
}

describe("invalid_argument names the field", () => {
  test.each([
    "",
    "4b9f3a52",
    "{4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
    "(4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11)",
    "{4b9f3a522f0c4a539d0e6f1f3f1f9c11}",
    "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c1g",
    "4b9f3a522f0c4a539d0e6f1f3f1f9c1g",
    "4b9f3a522f0c-4a53-9d0e-6f1f3f1f9c11",
    "urn:uuid:4b9f3a522f0c4a539d0e6f1f3f1f9c11",
    `uuid:${randomUUID()}`,
    ` ${randomUUID()}`,
  ])("machine_id %j", async (machineId) => {
    using agent = grpcAgent(server, machine.key);
    await expect(agent.heartbeat({ machineId })).rejects.toMatchObject({
      code: 3,
      rawMessage: expect.stringMatching(/^machine_id: /),
    });
  });

  const hardware = (bytes: number[]) => Uint8Array.from([0x12, bytes.length, ...bytes]);
  test.each([
    ["a hardware report that ends too early", hardware([0x0a, 0x05]), /hardware_report/],
    ["a node in it that does", hardware([0x0a, 0x02, 0x0a, 0x7f]), /hardware_report\.report/],
    ["a CPU in that", hardware([0x0a, 0x04, 0x52, 0x02, 0x52, 0x7f]), /hardware_report\.report\.cpu/],
    ["a text that is not UTF-8", hardware([0x0a, 0x03, 0x0a, 0x01, 0xff]), /hardware_report\.report/],
    ["a tag of field 0", Uint8Array.from([0x00, 0x00]), /cannot be decoded/],
    ["groups without end", new Uint8Array(100_000).fill(0x2b), /cannot be decoded/],
  ])("%s", async (_name, tail, message) => {
    const head = toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, { machineId: machine.machineId }));
    const body = Buffer.concat([head, tail]);
    const bodies: [headers: Record<string, string>, body: Buffer][] = [
      [{ "content-type": "application/proto" }, body],
      [{ "content-type": "application/proto", "content-encoding": "br" }, brotliCompressSync(body)],
      [{ "content-type": "application/grpc-web+proto" }, frame(body)],
      [{ "content-type": "application/grpc-web+proto", "grpc-encoding": "gzip" }, frame(gzipSync(body), 1)],
    ];
    for (const [headers, sent] of bodies) {
      const answer = await send({ headers, body: sent, certificate: createClientCertificate(machine.key) });
      const said = decodeURIComponent(answer.body);
      expect(said).toMatch(message);
      expect(said).toMatch(/^\{/.test(said) ? /"invalid_argument"/ : /grpc-status: 3\r\n/);
    }
    await expectNothingStored();
  });

  test.each([
    ["an unknown field", { installationReport: { generation: "1", eror: {} } }, "eror"],
    ["a generation that is no int64", { installationReport: { generation: "9223372036854775808" } }, "generation"],
    ["a report that is no message", { hardwareReport: 5 }, "AgentHardwareReport"],
    ["two results", { installationReport: { success: {}, error: { error: "" } } }, "oneof"],
  ])("JSON with %s", async (_name, fields, word) => {
    const body = JSON.stringify({ machineId: machine.machineId, ...fields });
    const answer = await send({ body, certificate: createClientCertificate(machine.key) });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining(word),
    });
    await expectNothingStored();
  });
});

function frame(message: Uint8Array, flag = 0): Buffer {
  const header = Buffer.alloc(5);
  header[0] = flag;
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

describe("unauthenticated by certificate", () => {
  test("an unknown machine and a wrong key are told apart by nothing", async () => {
    const stranger = await generateAgentKey();
    const other = await machineWithAgent(database.db);
    const answers = await Promise.all([
      send({ certificate: createClientCertificate(stranger) }),
      send({ certificate: createClientCertificate(other.key) }),
      send({
        certificate: createClientCertificate(machine.key),
        body: JSON.stringify({ machineId: randomUUID() }),
      }),
    ]);
    for (const { status, body } of answers) {
      expect(status).toBe(401);
      expect(JSON.parse(body)).toEqual({ code: "unauthenticated", message: "machine id or public key unknown" });
    }
    await expectNothingStored();
  });

  test("the refusal is logged with machine id and key", async () => {
    const stranger = await generateAgentKey();
    await send({ certificate: createClientCertificate(stranger) });
    expect(server.logged).toContainEqual(
      expect.objectContaining({ level: 40, machineId: machine.machineId, publicKey: stranger.publicKeyHex }),
    );
  });

  test("neither certificate nor signature", async () => {
    using agent = grpcAgent(server);
    expect(await codeOf(agent.heartbeat({ machineId: machine.machineId }))).toBe("Unauthenticated");
    expect((await send({})).status).toBe(401);
    await expectNothingStored();
  });

  test.each([
    ["P-256", () => generateKeyPairSync("ec", { namedCurve: "P-256" }), "not an Ed25519 key"],
    ["RSA", () => generateKeyPairSync("rsa", { modulusLength: 2048 }), "not an Ed25519 key"],
  ])("a certificate of a %s key", async (_name, generate, message) => {
    const { privateKey, publicKey } = generate();
    const certificate = issueCertificate(
      { subject: "", publicKey, notBefore: new Date(), notAfter: noExpiry, extensions: [] },
      { name: "", privateKey },
    );
    const key = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
    const answer = await send({ certificate: { cert: certificate.toString(), key } });
    expect(answer.status).toBe(401);
    expect(answer.body).toContain(message);
    await expectNothingStored();
  });

  test("a certificate whose dates are absurd is as good as any", async () => {
    const key = machine.key.exportPem();
    const { createPrivateKey, createPublicKey } = await import("node:crypto");
    const privateKey = createPrivateKey(key);
    const notBefore = new Date("2001-01-01T00:00:00Z");
    const certificate = issueCertificate(
      {
        subject: "",
        publicKey: createPublicKey(privateKey),
        notBefore,
        notAfter: new Date("2002-01-01"),
        extensions: [],
      },
      { name: "", privateKey },
    );
    expect((await send({ certificate: { cert: certificate.toString(), key } })).status).toBe(200);
  });
});

/** The headers of a right signature, to be made wrong. */
async function signedHeaders(
  body: string,
  changes: { machineId?: string; key?: AgentKey; created?: number; nonce?: bigint; url?: string; method?: string } = {},
): Promise<Record<string, string>> {
  return await signRequest(
    {
      method: changes.method ?? "POST",
      url: new URL(changes.url ?? `${server.agentUrl}${heartbeatPath}`),
      body: new TextEncoder().encode(body),
    },
    {
      machineId: changes.machineId ?? machine.machineId,
      key: changes.key ?? machine.key,
      created: changes.created ?? Math.floor(Date.now() / 1000),
      nonce: changes.nonce ?? BigInt(Date.now()) * 1000n,
    },
  );
}

describe("unauthenticated by signature", () => {
  const now = () => Math.floor(Date.now() / 1000);
  const body = () => JSON.stringify({ machineId: machine.machineId });
  const edit = (name: string, from: string | RegExp, to: string) => async () => {
    const headers = await signedHeaders(body());
    return { ...headers, [name]: (headers[name] ?? "").replace(from, to) };
  };
  const drop = (name: string) => async () => {
    const { [name]: _dropped, ...headers } = await signedHeaders(body());
    return headers;
  };
  const sha256 = (text: string) => new Uint8Array(createHash("sha256").update(text).digest());

  test.each<[string, () => Promise<Record<string, string>>, RegExp]>([
    [
      "another key",
      async () => signedHeaders(body(), { key: await generateAgentKey() }),
      /machine id or public key unknown/,
    ],
    [
      "an unknown machine",
      () => signedHeaders(body(), { machineId: randomUUID() }),
      /machine id or public key unknown/,
    ],
    ["too old", () => signedHeaders(body(), { created: now() - 62 }), /created 6\d s before .* Date header/],
    ["too new", () => signedHeaders(body(), { created: now() + 65 }), /created 6\d s after .* Date header/],
    ["another authority", () => signedHeaders(body(), { url: `https://bmaas.example${heartbeatPath}` }), /unknown/],
    ["another path", () => signedHeaders(body(), { url: `${server.agentUrl}/other` }), /unknown/],
    ["another method", () => signedHeaders(body(), { method: "PUT" }), /unknown/],
    ["another body", () => signedHeaders(`${body()} `), /content-digest: sha-256 does not match the body/],
    [
      "a digest put in afterwards",
      async () => ({ ...(await signedHeaders("other")), "content-digest": formatContentDigest(sha256(body())) }),
      /unknown/,
    ],
    ["a digest of another algorithm only", edit("content-digest", "sha-256", "md5"), /no sha-256/],
    ["a malformed digest", edit("content-digest", /.*/, "sha-256=nonsense"), /content-digest/],
    ["without digest", drop("content-digest"), /content-digest/],
    ["without signature", drop("signature"), /no signature/],
    ["without signature-input", drop("signature-input"), /nor a signature with tag="bmaas-agent"/],
    ["fewer components", edit("signature-input", ' "content-digest"', ""), /component "content-digest" is missing/],
    [
      "more components",
      edit("signature-input", '"content-digest"', '"content-digest" "date"'),
      /more than 4 components/,
    ],
    ["another algorithm", edit("signature-input", "ed25519", "hmac-sha256"), /alg/],
    ["another tag", edit("signature-input", 'tag="bmaas-agent"', 'tag="other"'), /tag/],
    ["without nonce", edit("signature-input", /;nonce="\d+"/, ""), /nonce/],
    ["a nonce of words", edit("signature-input", /nonce="\d+"/, 'nonce="one"'), /nonce/],
    ["a changed nonce", edit("signature-input", /nonce="\d+"/, 'nonce="9999999999999999"'), /unknown/],
    ["an extra parameter", edit("signature-input", ";alg", ";expires=9999999999;alg"), /parameters/],
    ["broken base64", edit("signature", /:.*:/, ":AAAA:"), /64/],
    ["garbage", edit("signature-input", /.*/, "(((("), /signature-input/],
  ])("%s", async (_name, makeHeaders, message) => {
    const answer = await send({ headers: await makeHeaders(), body: body() });
    expect(answer.status).toBe(401);
    expect(JSON.parse(answer.body)).toMatchObject({ code: "unauthenticated", message: expect.stringMatching(message) });
    expect(Math.abs(Date.parse(answer.date) - Date.now())).toBeLessThan(10_000);
    await expectNothingStored();
  });

  test("one machine's signature over another machine's heartbeat", async () => {
    const other = await machineWithAgent(database.db);
    const headers = await signedHeaders(body(), { machineId: other.machineId, key: other.key });
    const answer = await send({ headers, body: body() });
    expect(JSON.parse(answer.body)).toEqual({ code: "unauthenticated", message: "machine id or public key unknown" });
    await expectNothingStored();
  });

  test("a replay, and every nonce that does not grow", async () => {
    const replayed = await signedHeaders(body(), { nonce: 100n });
    expect((await send({ headers: replayed, body: body() })).status).toBe(200);
    const older = await signedHeaders(body(), { nonce: 99n });
    for (const headers of [replayed, older]) {
      const answer = await send({ headers, body: body() });
      expect(answer.status).toBe(401);
      expect(answer.body).toContain("nonce is not greater");
    }
    const { heartbeat } = await readTags(database, machine.machineId);
    expect(heartbeat?.signatureNonce).toBe(100n);
    expect((await send({ headers: await signedHeaders(body(), { nonce: 101n }), body: body() })).status).toBe(200);
  });

  test("a replay is refused on another replica, too", async () => {
    await using replica = await startTestServer(database.url, {
      BMAAS_AGENT_AUTHORITY: new URL(server.agentUrl).host,
    });
    const headers = await signedHeaders(body(), { nonce: 7n });
    expect((await send({ headers, body: body() })).status).toBe(200);
    const session = connectHttp2(replica.agentUrl, { ca: replica.ca });
    const stream = session.request({
      ":method": "POST",
      ":path": heartbeatPath,
      ":authority": new URL(server.agentUrl).host,
      "content-type": "application/json",
      ...headers,
    });
    stream.end(body());
    const status = await new Promise((resolve) => stream.on("response", (head) => resolve(head[":status"])));
    session.destroy();
    expect(status).toBe(401);
  });

  test("a wrong signature counts although the certificate is right", async () => {
    const headers = await signedHeaders(body(), { key: await generateAgentKey() });
    const answer = await send({ headers, body: body(), certificate: createClientCertificate(machine.key) });
    expect(answer.status).toBe(401);
    await expectNothingStored();
  });

  test("a certificate's heartbeat leaves the last nonce as it is", async () => {
    await send({ headers: await signedHeaders(body(), { nonce: 50n }), body: body() });
    await send({ certificate: createClientCertificate(machine.key) });
    const { heartbeat } = await readTags(database, machine.machineId);
    expect(heartbeat?.signatureNonce).toBe(50n);
  });
});

test("a signing client whose clock is three hours off corrects itself", async () => {
  const { createSigningFetch } = await import("../../src/agent/signing-fetch.ts");
  const { SigningClock } = await import("../../src/agent/signing-clock.ts");
  const { createNodeFetch } = await import("../../src/agent/node-fetch.ts");
  const clock = new SigningClock(() => Date.now() - 3 * 3600 * 1000);
  const fetch = createSigningFetch({ ...machine, clock, fetch: createNodeFetch({ ca: server.ca }) });
  const answer = await fetch(`${server.agentUrl}${heartbeatPath}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ machineId: machine.machineId }),
  });
  expect(answer.status).toBe(200);
});

test("a key that was replaced is refused with the next heartbeat, on an open connection too", async () => {
  const { replaceAgentKey } = await import("../support/machine.ts");
  using old = grpcAgent(server, machine.key);
  using signing = signingAgent(server, machine, "connect-json");
  const beat = { machineId: machine.machineId };
  expect([await codeOf(old.heartbeat(beat)), await codeOf(signing.heartbeat(beat))]).toEqual(["ok", "ok"]);
  const key = await replaceAgentKey(database.db, machine.machineId);
  expect([await codeOf(old.heartbeat(beat)), await codeOf(signing.heartbeat(beat))]).toEqual([
    "Unauthenticated",
    "Unauthenticated",
  ]);
  using replaced = grpcAgent(server, key);
  expect(await codeOf(replaced.heartbeat(beat))).toBe("ok");
});
