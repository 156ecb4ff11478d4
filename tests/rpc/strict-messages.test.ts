/** Messages that do not say what their sender means, on both listeners of a real server, on the unary lane and on Connect's way. */
import { connect as connectHttp2 } from "node:http2";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
    text.split("\r\n").map((line) => line.replace(/^.*(?=grpc-message)/s, "").split(": ")),
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
});

describe("operators' calls", () => {
  const inexact = '{"machineId":"%","generation":9007199254740993}';

  test("a request for an installation is stored under its very generation, or not at all", async () => {
    const { machineId } = await machineWithAgent(database.db);
    const request = (generation: string) =>
      `{"machineId":"${machineId}","generation":${generation},"target":{"image":${JSON.stringify(testImage)}}}`;
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
});
