/** One port, four protocols, two versions of HTTP: the same answers and the same errors by every way in. */
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect as connectTls } from "node:tls";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import type { Compression } from "@connectrpc/connect/protocol";
import {
  compressionBrotli,
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { beforeAll, describe, expect, test } from "vitest";
import { AgentCallback, HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { startAgentListener } from "../support/agent-listener.ts";
import { machineWithAgent, readTags, requestInstallation, type TestMachine, testImage } from "../support/machine.ts";
import { callHttp2, frameMessage, type Http2Answer } from "../support/raw-connection.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
let machine: TestMachine;

beforeAll(async () => {
  machine = await machineWithAgent(database.db);
});

interface Options {
  readonly baseUrl: string;
  readonly nodeOptions: { ca: string; cert: string; key: string };
  readonly sendCompression?: Compression;
  readonly compressMinBytes?: number;
}

const ways: Record<string, (options: Options) => Transport> = {
  "gRPC over HTTP/2": (options) => createGrpcTransport(options),
  "gRPC-Web over HTTP/1.1": (options) => createGrpcWebTransport({ ...options, httpVersion: "1.1" }),
  "gRPC-Web over HTTP/2": (options) => createGrpcWebTransport({ ...options, httpVersion: "2" }),
  "Connect JSON over HTTP/1.1": (options) =>
    createConnectTransport({ ...options, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect JSON over HTTP/2": (options) =>
    createConnectTransport({ ...options, httpVersion: "2", useBinaryFormat: false }),
  "Connect binary over HTTP/1.1": (options) => createConnectTransport({ ...options, httpVersion: "1.1" }),
  "Connect binary over HTTP/2": (options) => createConnectTransport({ ...options, httpVersion: "2" }),
};

function createAgent(way: string, extra: Partial<Options> = {}, { key } = machine): Client<typeof AgentCallback> {
  const nodeOptions = { ca: server.ca, ...createClientCertificate(key) };
  const makeTransport = ways[way] as (options: Options) => Transport;
  return createClient(AgentCallback, makeTransport({ baseUrl: server.agentUrl, nodeOptions, ...extra }));
}

describe.each(Object.keys(ways))("by %s", (way) => {
  test("an agent gets what is pending", async () => {
    const fresh = await machineWithAgent(database.db);
    const agent = createAgent(way, {}, fresh);
    expect((await agent.heartbeat({ machineId: fresh.machineId })).installationRequest).toBeUndefined();
    const generation = await requestInstallation(database.db, fresh.machineId);
    expect((await agent.heartbeat({ machineId: fresh.machineId })).installationRequest).toMatchObject({
      generation,
      type: { case: "image", value: testImage },
    });
  });

  test.each([compressionGzip, compressionBrotli])("a compressed request is read ($name)", async (sendCompression) => {
    const fresh = await machineWithAgent(database.db);
    const agent = createAgent(way, { sendCompression, compressMinBytes: 0 }, fresh);
    await agent.heartbeat({ machineId: fresh.machineId, hardwareReport: { warning: ["w".repeat(10_000)] } });
    expect((await readTags(database, fresh.machineId)).hardware?.report.length).toBeGreaterThan(10_000);
  });

  test("every error has the same code and the same words", async () => {
    const agent = createAgent(way);
    const stranger = await machineWithAgent(database.db);
    const { machineId } = machine;
    const errors = [
      agent.heartbeat({ machineId: "4b9f3a52 – so?" }),
      agent.heartbeat({ machineId: stranger.machineId }),
      agent.heartbeat({ machineId, installationReport: { generation: 99n, result: { case: "success", value: {} } } }),
    ].map((call) =>
      call.then(
        () => "no error",
        (error: unknown) => describeError(ConnectError.from(error)),
      ),
    );
    expect(await Promise.all(errors)).toEqual([
      "InvalidArgument: machine_id: a machine id is a UUID such as 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "Unauthenticated: machine id or public key unknown",
      "FailedPrecondition: installation_report.generation: 99 was never requested for this machine",
    ]);
  });
});

function describeError({ code, rawMessage }: ConnectError): string {
  return `${Code[code]}: ${rawMessage}`;
}

describe("ALPN", () => {
  test.each([
    ["h2 before http/1.1", ["h2", "http/1.1"], "h2"],
    ["http/1.1 before h2", ["http/1.1", "h2"], "h2"],
    ["http/1.1 alone", ["http/1.1"], "http/1.1"],
    ["nothing", undefined, false],
  ])("a client that offers %s gets on", async (_offer, ALPNProtocols, expected) => {
    const port = Number(new URL(server.agentUrl).port);
    const socket = connectTls({ port, host: "127.0.0.1", ca: server.ca, ...(ALPNProtocols && { ALPNProtocols }) });
    await once(socket, "secureConnect");
    expect(socket.alpnProtocol).toBe(expected);
    socket.destroy();
  });

  test("a client that offers neither is refused in the handshake", async () => {
    const port = Number(new URL(server.agentUrl).port);
    const socket = connectTls({ port, host: "127.0.0.1", ca: server.ca, ALPNProtocols: ["spdy/3"] });
    const [error] = await once(socket, "error");
    expect(error).toMatchObject({ code: "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL" });
  });
});

describe("what is not served", () => {
  let session: ClientHttp2Session;
  beforeAll(() => {
    session = connectHttp2(server.agentUrl, { ca: server.ca, ...createClientCertificate(machine.key) });
    return () => session.destroy();
  });

  const types = ["application/json", "application/proto", "application/grpc", "application/grpc-web+proto"];
  test.each([
    ["an unknown method", "/cloud.bmaas.server.api.AgentCallback/Heartbeets"],
    ["an unknown service", "/cloud.bmaas.server.api.Agent/Heartbeat"],
    ["any other path", "/"],
  ])("%s is unimplemented, in each protocol's own words", async (_what, path) => {
    for (const type of types) {
      const answer = await callHttp2(session, { "content-type": type, ":path": path }, frameMessage(new Uint8Array()));
      expect(readError(type, answer)).toEqual({
        status: type.includes("grpc") ? 200 : 404,
        code: "12",
        message: `POST ${path} is not served here`,
      });
    }
  });

  test("a stock gRPC client takes it for UNIMPLEMENTED", async () => {
    const credentials = grpc.credentials.createSsl(Buffer.from(server.ca));
    const client = new grpc.Client(new URL(server.agentUrl).host, credentials);
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      client.makeUnaryRequest(
        "/no.Such/Method",
        () => Buffer.alloc(0),
        (bytes) => bytes,
        {},
        resolve,
      );
    });
    client.close();
    expect([error?.code, decodeURIComponent(error?.details ?? "")]).toEqual([
      12,
      "POST /no.Such/Method is not served here",
    ]);
  });

  test.each(["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])("%s of the heartbeat is 405", async (method) => {
    const answer = await callHttp2(session, { ":method": method }, (stream) => stream.end());
    expect(answer.status).toBe(405);
  });

  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/grpc+thrift",
    "application/jsonp",
    "",
    "multipart/form-data; boundary=x",
    "nonsense",
  ])("a body of type %j is 415, in no protocol", async (type) => {
    const answer = await callHttp2(session, { "content-type": type }, "{}");
    expect([answer.status, answer.headers["content-type"]]).toEqual([415, "text/plain"]);
  });

  test.each([
    ["application/json; charset=utf-8", 200],
    ["application/json; charset=latin1", 415],
    ["APPLICATION/JSON", 200],
  ])("a body of type %s is %d", async (type, status) => {
    const answer = await callHttp2(session, { "content-type": type }, JSON.stringify({ machineId: machine.machineId }));
    expect(answer.status).toBe(status);
  });

  test.each([
    ["application/json", "content-encoding", 0, 501],
    ["application/proto", "content-encoding", 0, 501],
    ["application/grpc", "grpc-encoding", 1, 200],
    ["application/grpc", "grpc-encoding", 0, 200],
    ["application/grpc-web+proto", "grpc-encoding", 0, 200],
  ])("a compression that nobody knows is unimplemented (%s, %s, flag %d)", async (type, header, flags, status) => {
    const body = frameMessage(Buffer.from("compressed"), { flags });
    const answer = await callHttp2(session, { "content-type": type, [header]: "zstd" }, body);
    expect(readError(type, answer)).toMatchObject({ status, code: "12", message: expect.stringContaining("gzip,br") });
  });
});

/** An error as its protocol carries it, with the code as a number of gRPC. */
function readError(type: string, { status, headers, trailers, body }: Http2Answer) {
  if (!type.includes("grpc")) {
    const { code, message } = JSON.parse(body.toString()) as { code: string; message: string };
    const name = code.replace(/(^|_)(.)/g, (_match, _line, letter: string) => letter.toUpperCase());
    return { status, code: String(Code[name as keyof typeof Code]), message };
  }
  const frame = Object.fromEntries(
    body
      .subarray(5)
      .toString()
      .split("\r\n")
      .map((line) => line.split(": ")),
  ) as Record<string, string>;
  const fields = { ...frame, ...headers, ...trailers };
  return { status, code: fields["grpc-status"], message: decodeURIComponent(String(fields["grpc-message"])) };
}

describe("a caller's deadline", () => {
  const slow = { heartbeat: waitForSignal };
  const message = frameMessage(toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema)));
  test.each([
    ["application/json", { "connect-timeout-ms": "150" }, 504],
    ["application/proto", { "connect-timeout-ms": "150" }, 504],
    ["application/grpc", { "grpc-timeout": "150m" }, 200],
    ["application/grpc-web+proto", { "grpc-timeout": "150000u" }, 200],
  ])("is kept by the server (%s)", async (type, headers, status) => {
    await using listener = await startAgentListener(slow);
    const session = connectHttp2(listener.agentUrl, { ca: listener.ca });
    const body = type.includes("grpc") ? message : type.includes("json") ? "{}" : "";
    const answer = await callHttp2(session, { "content-type": type, ...headers }, body);
    session.destroy();
    expect(readError(type, answer)).toMatchObject({ status, code: "4" });
  });

  test.each([
    ["application/json", { "connect-timeout-ms": "soon" }, "3"],
    ["application/json", { "connect-timeout-ms": "99999999999" }, "3"],
    ["application/grpc", { "grpc-timeout": "5" }, "3"],
    ["application/grpc", { "grpc-timeout": "123456789S" }, "3"],
    // Farther than anything here takes: none.
    ["application/json", { "connect-timeout-ms": "9999999999" }, "ok"],
    ["application/grpc", { "grpc-timeout": "99999999H" }, "0"],
  ])("that is odd is taken for what it is (%s, %j)", async (type, headers, code) => {
    await using listener = await startAgentListener();
    const session = connectHttp2(listener.agentUrl, { ca: listener.ca });
    const body = type.includes("grpc") ? message : "{}";
    const answer = await callHttp2(session, { "content-type": type, ...headers }, body);
    session.destroy();
    expect(code === "ok" ? answer.status : readError(type, answer).code).toBe(code === "ok" ? 200 : code);
  });
});

function waitForSignal(_request: unknown, { signal }: { signal: AbortSignal }): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}
