/** What is done with the body of a caller who has not proved to be an agent: nothing that grows with it. */
import { connect as connectHttp2 } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { type AgentKey, generateAgentKey } from "../../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../../src/agent/client-certificate.ts";
import { signRequest } from "../../../src/agent/request-signing.ts";
import { createSignatureChecks } from "../../../src/agent-callback/identity/signature-checks.ts";
import { createSignatureVerifier } from "../../../src/agent-callback/identity/signature-identity.ts";
import { frameMessage } from "../../../src/rpc/wire/grpc-frames.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { machineWithAgent, type TestMachine } from "../../support/machine.ts";
import { callHttp2 } from "../../support/raw-connection.ts";
import { startTestServer, type TestServer } from "../../support/server.ts";

let database: TestDatabase;
let machine: TestMachine;
beforeAll(async () => {
  database = await createTestDatabase();
  machine = await machineWithAgent(database.db);
});
afterAll(() => database?.close());

/** A message that cannot be decoded, which shows when somebody tries, with so many bytes behind the machine's id. */
function binary(size: number): Buffer {
  const head = toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, { machineId: machine.machineId }));
  return Buffer.concat([head, Buffer.alloc(size)]);
}
const json = (size: number) => Buffer.from(JSON.stringify({ machineId: machine.machineId, none: "x".repeat(size) }));
const text = (size: number) => Buffer.from(frameMessage(binary(size)).toString("base64"));

type Sent = [what: string, headers: Record<string, string>, body: (size: number) => Uint8Array];
const sent: Sent[] = [
  ["gRPC", { "content-type": "application/grpc", te: "trailers" }, (size) => frameMessage(binary(size))],
  ["gRPC-Web", { "content-type": "application/grpc-web+proto" }, (size) => frameMessage(binary(size))],
  ["gRPC-Web in base64", { "content-type": "application/grpc-web-text" }, text],
  ["Connect", { "content-type": "application/proto" }, binary],
  ["Connect in JSON", { "content-type": "application/json" }, json],
];

/** Resolves with the code of the error that the call ends with, as gRPC numbers it or Connect names it. */
async function call(server: TestServer, key: AgentKey, headers: Record<string, string>, body: Uint8Array) {
  const session = connectHttp2(server.agentUrl, { ca: server.ca, ...createClientCertificate(key) });
  const answer = await callHttp2(session, headers, body);
  session.close();
  const content = answer.body.toString();
  const isText = String(answer.headers["content-type"]).includes("web-text");
  const trailers = isText ? Buffer.from(content, "base64").toString() : content;
  const [, code] = /grpc-status: (\d+)|"code":"(\w+)"/.exec(trailers)?.filter((group) => group !== undefined) ?? [];
  return code ?? answer.headers["grpc-status"] ?? answer.trailers["grpc-status"];
}
const unauthenticated = /^(16|unauthenticated)$/;
const invalid = /^(3|invalid_argument)$/;

describe.each(["on", "off"])("with the lane %s", (lane) => {
  let server: TestServer;
  let stranger: AgentKey;
  beforeAll(async () => {
    server = await startTestServer(database.url, { BMAAS_UNARY_LANE: lane });
    stranger = await generateAgentKey();
  });
  afterAll(() => server?.close());

  // Connect's handler has no base64.
  test.each(sent.filter(([what]) => lane === "on" || what !== "gRPC-Web in base64"))(
    "%s: a large body is decoded for a registered key alone",
    async (_what, headers, body) => {
      expect(await call(server, stranger, headers, body(500_000))).toMatch(unauthenticated);
      expect(await call(server, machine.key, headers, body(500_000))).toMatch(invalid);
      expect(await call(server, stranger, headers, body(100))).toMatch(invalid);
    },
  );

  test.each<Sent>([
    ["Connect", { "content-type": "application/proto", "content-encoding": "gzip" }, (size) => gzipSync(binary(size))],
    [
      "gRPC",
      { "content-type": "application/grpc", "grpc-encoding": "gzip", te: "trailers" },
      (size) => {
        const frame = frameMessage(gzipSync(binary(size)));
        frame[0] = 1;
        return frame;
      },
    ],
  ])("%s: a compressed body is decompressed for a registered key alone", async (_what, headers, body) => {
    expect(await call(server, stranger, headers, body(500_000))).toMatch(unauthenticated);
    expect(await call(server, machine.key, headers, body(500_000))).toMatch(invalid);
  });
});

describe("a signed body", () => {
  const nowMs = 1_700_000_000_000;
  const body = new TextEncoder().encode("{}");

  /** Verifies a signature of `key`, and resolves with the refusal and whether the body was looked at. */
  async function verify(key: AgentKey, change: (contentDigest: string) => string = (digest) => digest) {
    let isLookedAt = false;
    const watched = new Proxy(body, {
      get(bytes, name) {
        isLookedAt = true;
        const value: unknown = Reflect.get(bytes, name, bytes);
        return typeof value === "function" ? value.bind(bytes) : value;
      },
    });
    const url = new URL("https://bmaas.example/h");
    const { machineId } = machine;
    const headers = await signRequest(
      { method: "POST", url, body },
      { machineId, key, created: nowMs / 1000, nonce: 1n },
    );
    const verifySignature = createSignatureVerifier({
      isOwnAuthority: () => true,
      checks: createSignatureChecks(),
      now: () => nowMs,
      readPublicKeys: async () => new Map([[machineId, machine.key.publicKey]]),
    });
    const request = { method: "POST", scheme: "https", authority: url.host, path: url.pathname } as const;
    const error = await verifySignature(
      {
        ...request,
        headers: { ...headers, "content-digest": change(headers["content-digest"]) },
        remoteAddress: undefined,
        body: watched,
      },
      {
        assertMayTry: () => {},
        waitEnd: { atMs: performance.now() + 10_000, isCallers: false },
        isUrgent: () => false,
      },
    ).catch((reason: Error) => reason);
    return { error, isLookedAt };
  }

  test("is looked at once the signature is verified", async () => {
    expect(await verify(await generateAgentKey())).toMatchObject({
      error: { refusal: "unknown_identity" },
      isLookedAt: false,
    });
  });

  test("is not looked at for digests that are too many to read", async () => {
    const { error, isLookedAt } = await verify(machine.key, (digest) => `${digest}, x="${"y".repeat(4_096)}"`);
    expect(error).toMatchObject({ refusal: "signature", rawMessage: "content-digest: longer than 4096 characters" });
    expect(isLookedAt).toBe(false);
  });
});
