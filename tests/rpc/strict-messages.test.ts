/**
 * Messages that do not say what their sender means, on both listeners of a real server, on the unary lane and on
 * Connect's way.
 */
import { connect as connectHttp2 } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ListMachinesRequestSchema } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { readInstallation } from "../support/installation.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine, testImage } from "../support/machine.ts";
import { tokenOf } from "../support/operator.ts";
import { callHttp2, frameMessage, type Http2Answer } from "../support/raw-connection.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let database: TestDatabase;
let server: TestServer;
let operator: string;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
  operator = (await tokenOf(database.db, "operator")).secret;
});

afterAll(async () => {
  await server?.close();
  await database?.close();
});

interface Request {
  readonly path?: string;
  readonly method?: "GET" | "POST";
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
}

async function callAgents({ agentUrl, ca }: TestServer, { key }: TestMachine, request: Request): Promise<Http2Answer> {
  const session = connectHttp2(agentUrl, { ca, ...createClientCertificate(key) });
  const answer = await callHttp2(session, { ...request.headers }, request.body);
  session.destroy();
  return answer;
}

async function callOperators({ path = "", method = "POST", headers, body }: Request): Promise<Http2Answer> {
  const session = connectHttp2(server.adminUrl);
  const fields = { ":method": method, ":path": `/bmaas.admin.v1.${path}`, authorization: `Bearer ${operator}` };
  const answer = await callHttp2(
    session,
    { ...fields, ...headers },
    method === "GET" ? (stream) => stream.end() : body,
  );
  session.destroy();
  return answer;
}

/** Code and text of an answer, whichever protocol it is in. */
function readError({ headers, trailers, body }: Http2Answer): string {
  const text = body.toString();
  const inFrame = Object.fromEntries(
    [...text.matchAll(/(grpc-(?:status|message)): ([^\r\n]*)/g)].map((field) => field.slice(1)),
  );
  const { "grpc-status": status, "grpc-message": message } = { ...headers, ...trailers, ...inFrame };
  if (status !== undefined)
    return `${status === "3" ? "invalid_argument" : status} ${decodeURIComponent(String(message))}`;
  const json = JSON.parse(text.slice(text.indexOf("{")));
  return `${(json.error ?? json).code} ${(json.error ?? json).message}`;
}

describe.each(["on", "off"])("with the unary lane %s", (unaryLane) => {
  let agents: TestServer;
  let machine: TestMachine;

  beforeAll(async () => {
    agents = await startTestServer(database.url, { BMAAS_UNARY_LANE: unaryLane });
    machine = await machineWithAgent(database.db);
  });

  afterAll(() => agents?.close());

  test("a report names its generation exactly, or counts for none", async () => {
    const { machineId } = machine;
    await requestInstallation(database.db, machineId, 9007199254740992n);
    await requestInstallation(database.db, machineId, 9007199254740993n);
    const fetched = await callAgents(agents, machine, { body: `{"machineId":"${machineId}"}` });
    expect(fetched.body.toString()).toContain('"9007199254740993"');
    const report = (generation: string) =>
      `{"machineId":"${machineId}","installationReport":{"generation":${generation}}}`;
    const inexact = report("9007199254740993");
    const refusal = "invalid_argument installation_report.generation: is not an integer from -(2^53-1) to 2^53-1";
    const ways: Request[] = [
      { body: inexact },
      { body: gzipSync(inexact), headers: { "content-encoding": "gzip" } },
      { body: frameMessage(Buffer.from(inexact)), headers: { "content-type": "application/grpc+json" } },
      { body: frameMessage(Buffer.from(inexact)), headers: { "content-type": "application/grpc-web+json" } },
    ];
    for (const way of ways) expect(readError(await callAgents(agents, machine, way))).toContain(refusal);
    expect((await readTags(database, machineId)).report).toBeUndefined();
    expect((await readInstallation(database, machineId, 9007199254740992n)).finishedAt).toBeNull();
    const exact = await callAgents(agents, machine, { body: report('"9007199254740993"') });
    expect([exact.status, exact.body.toString()]).toEqual([200, expect.not.stringContaining("installationRequest")]);
    expect((await readTags(database, machineId)).report?.generation).toBe(9007199254740993n);
    expect((await readInstallation(database, machineId, 9007199254740992n)).finishedAt).toBeNull();
  });

  test.each([
    ['"0x10"', "installation_report.generation: is not an integer in plain decimal digits"],
    ['" 1"', "installation_report.generation: is not an integer in plain decimal digits"],
    ['"1","generation":"2"', 'duplicate object key "generation"'],
  ])("a report of generation %s is refused", async (generation, text) => {
    const body = `{"machineId":"${machine.machineId}","installationReport":{"generation":${generation}}}`;
    expect(readError(await callAgents(agents, machine, { body }))).toContain(text);
  });

  test.each(["application/json", "application/grpc+json", "application/grpc-web+json"])(
    "half a character in %s is the caller's fault, and every answer can be sent",
    async (type) => {
      const json = Buffer.from('{"\\ud800":1}');
      const body = type === "application/json" ? json : frameMessage(json);
      const before = agents.logged.length;
      const answers = [
        await callAgents(agents, machine, { headers: { "content-type": type }, body }),
        await callOperators({ path: "MachineService/ListMachines", headers: { "content-type": type }, body }),
      ];
      for (const answer of answers) expect(readError(answer)).toMatch(/^invalid_argument .*half a character/);
      expect([...agents.logged.slice(before), ...server.logged].filter(({ level }) => Number(level) >= 50)).toEqual([]);
    },
  );

  test.each([
    ["application/proto", (bytes: Uint8Array) => bytes],
    ["Application/Proto", (bytes: Uint8Array) => bytes],
    ["application/grpc", (bytes: Uint8Array) => frameMessage(bytes)],
    ["application/grpc", (bytes: Uint8Array) => Buffer.concat([frameMessage(bytes), Buffer.from([0])])],
    ["application/grpc-web", (bytes: Uint8Array) => frameMessage(bytes)],
    ["APPLICATION/GRPC-WEB+PROTO", (bytes: Uint8Array) => frameMessage(bytes)],
  ])("a message in %s that cannot be decoded is refused with its field (%#)", async (type, toBody) => {
    // A hardware report whose hardware breaks off.
    const body = toBody(Buffer.from([0x12, 0x04, 0x0a, 0x02, 0x0a, 0x7f]));
    const answer = await callAgents(agents, machine, { headers: { "content-type": type }, body });
    expect(readError(answer)).toMatch(
      /^invalid_argument (hardware_report\.report: cannot be decoded|.*incomplete envelope)/,
    );
  });
});

describe("operators' calls", () => {
  const inexact = '{"machineId":"%","generation":9007199254740993}';

  test("a request for an installation is stored under its very generation, or not at all", async () => {
    const { machineId } = await machineWithAgent(database.db);
    const request = (generation: string) =>
      `{"machineId":"${machineId}","uncheckedDisk":true,"generation":${generation},"target":{"image":${JSON.stringify(testImage)}}}`;
    const path = "InstallationService/RequestInstallation";
    const refused = await callOperators({ path, body: request("1790000000000000001") });
    expect(refused.status).toBe(400);
    expect(readError(refused)).toContain("invalid_argument generation: is not an integer from -(2^53-1) to 2^53-1");
    expect(JSON.parse(refused.body.toString()).details[0]).toMatchObject({
      type: "google.rpc.BadRequest",
      debug: { fieldViolations: [{ field: "generation", reason: "INTEGER_NOT_EXACT" }] },
    });
    await expect(readInstallation(database, machineId, 1790000000000000000n)).rejects.toThrow("no installation");
    expect((await callOperators({ path, body: request('"1790000000000000001"') })).status).toBe(200);
    expect((await readInstallation(database, machineId, 1790000000000000001n)).generation).toBe(1790000000000000001n);
  });

  test("the same holds for GET, for gRPC with JSON, and for streams", async () => {
    const { machineId } = await machineWithAgent(database.db);
    const message = inexact.replace("%", machineId);
    const path = "InstallationService/GetInstallation";
    const get = `${path}?connect=v1&encoding=json&message=${encodeURIComponent(message)}`;
    const framed = (text: string, type: string) => ({
      headers: { "content-type": type },
      body: frameMessage(Buffer.from(text)),
    });
    const watch = '{"filter":{"minMemoryBytes":9007199254740993}}';
    const answers = [
      await callOperators({ path: get, method: "GET" }),
      await callOperators({ path, ...framed(message, "application/grpc+json") }),
      await callOperators({ path: "MachineService/WatchMachines", ...framed(watch, "application/connect+json") }),
    ];
    for (const answer of answers) {
      expect(readError(answer)).toMatch(
        /^invalid_argument (generation|filter\.min_memory_bytes): is not an integer from/,
      );
    }
  });

  const broken = Buffer.from([0x0a, 0x02, 0x10, 0x01, 0x12, 0x02, 0x0a, 0x05]);
  const framed = (flags = 0, bytes: Uint8Array = broken) => frameMessage(bytes, { flags });
  const gzipped = gzipSync(broken);
  const query = `connect=v1&encoding=proto&base64=1&message=${broken.toString("base64url")}`;
  const list = "MachineService/ListMachines";

  test.each<[string, Request, RegExp]>([
    [
      "Connect",
      { path: list, headers: { "content-type": "application/proto" }, body: broken },
      /^invalid_argument filter: /,
    ],
    [
      "Connect, compressed",
      { path: list, headers: { "content-type": "application/proto", "content-encoding": "gzip" }, body: gzipped },
      /^invalid_argument filter: cannot be decoded/,
    ],
    ["Connect by GET", { path: `${list}?${query}`, method: "GET" }, /^invalid_argument filter: cannot be decoded/],
    [
      "Connect by GET, compressed",
      {
        path: `${list}?connect=v1&encoding=proto&base64=1&compression=gzip&message=${gzipped.toString("base64url")}`,
        method: "GET",
      },
      /^invalid_argument filter: cannot be decoded/,
    ],
    [
      "Connect by GET in no base64",
      { path: `${list}?connect=v1&encoding=json&base64=1&message=%C3%A9`, method: "GET" },
      /^invalid_argument message: is not base64/,
    ],
    [
      "gRPC",
      { path: list, headers: { "content-type": "application/grpc" }, body: framed() },
      /^invalid_argument filter: /,
    ],
    [
      "gRPC, compressed",
      {
        path: list,
        headers: { "content-type": "application/grpc", "grpc-encoding": "gzip" },
        body: framed(1, gzipped),
      },
      /^invalid_argument filter: cannot be decoded/,
    ],
    [
      "gRPC-Web",
      { path: list, headers: { "content-type": "application/grpc-web+proto" }, body: framed() },
      /^invalid_argument filter: cannot be decoded/,
    ],
    [
      "a stream of Connect",
      {
        path: "MachineService/WatchMachines",
        headers: { "content-type": "application/connect+proto" },
        body: framed(),
      },
      /^invalid_argument filter: cannot be decoded/,
    ],
    [
      "a stream of gRPC",
      { path: "MachineService/WatchMachines", headers: { "content-type": "application/grpc" }, body: framed() },
      /^invalid_argument filter: cannot be decoded/,
    ],
  ])("a message by %s that cannot be decoded is the caller's fault", async (_way, request, expected) => {
    const answer = await callOperators(request);
    expect(readError(answer)).toMatch(expected);
    if (!String(answer.headers["content-type"]).match(/grpc|connect\+/)) expect(answer.status).toBe(400);
    const logged = server.logged.findLast((line) => line.msg === "call");
    expect(logged).toMatchObject({ code: "invalid_argument" });
  });

  test("what can be decoded is, however it is cut into pieces", async () => {
    const bytes = toBinary(ListMachinesRequestSchema, create(ListMachinesRequestSchema, { pageSize: 7 }));
    const session = connectHttp2(server.adminUrl);
    for (const [type, whole] of [
      ["application/proto", bytes],
      ["application/grpc", frameMessage(bytes)],
      [
        "application/grpc-web",
        Buffer.concat([frameMessage(bytes), frameMessage(Buffer.from("a: b\r\n"), { flags: 0x80 })]),
      ],
    ] as const) {
      const headers = { authorization: `Bearer ${operator}`, "content-type": type, ":path": `/bmaas.admin.v1.${list}` };
      const answer = await callHttp2(session, headers, (stream) => {
        for (const byte of whole) stream.write(Buffer.of(byte));
        stream.end();
      });
      expect([answer.status, answer.trailers["grpc-status"] ?? "0"]).toEqual([200, "0"]);
    }
    session.destroy();
  });

  test("nobody without a token is told what cannot be decoded", async () => {
    for (const request of [
      { path: list, body: broken },
      { path: `${list}?${query}`, method: "GET" as const },
    ]) {
      const headers = { "content-type": "application/proto", authorization: "Bearer nobody" };
      const { method = "POST" } = request;
      const answer = await callOperators({
        ...request,
        headers: method === "GET" ? { authorization: headers.authorization } : headers,
      });
      expect(readError(answer)).toMatch(/^unauthenticated /);
    }
  });
});
