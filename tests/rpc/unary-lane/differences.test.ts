/** Where the lane says something else than Connect's handler, on purpose; its module lists the differences. */
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HeartbeatRequestSchema, HeartbeatResponseSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { settings } from "../../../src/config/settings.ts";
import { type HeartbeatHandler, startAgentListener, type TestListener } from "../../support/agent-listener.ts";
import { heartbeatPath } from "../../support/agents.ts";
import { callHttp2, frameMessage } from "../../support/raw-connection.ts";
import { WireClient } from "../../support/wire-call.ts";

let listener: TestListener;
let session: ClientHttp2Session;
let client: WireClient;

/** Answers with a response of as many bytes as the machine id says, or refuses it, by its words. */
const heartbeat: HeartbeatHandler = ({ machineId }, { responseHeader }) => {
  if (/^\d+$/.test(machineId)) {
    const rootDevice = "x".repeat(Number(machineId));
    return { installationRequest: { type: { case: "image", value: { rootDevice } } } };
  }
  if (machineId.startsWith("told")) responseHeader.set("x-told", "yes");
  throw new ConnectError(machineId, Code.Aborted, { "retry-after": "5" });
};

beforeAll(async () => {
  listener = await startAgentListener({ unaryLane: "on", tls: false, heartbeat });
  session = connectHttp2(listener.agentUrl);
  client = new WireClient(listener);
});

afterAll(async () => {
  client?.[Symbol.dispose]();
  session?.destroy();
  await listener?.[Symbol.asyncDispose]();
});

const encode = (machineId: string) => toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, { machineId }));
const callGrpc = (machineId: string, headers = {}) =>
  callHttp2(session, { "content-type": "application/grpc", ...headers }, frameMessage(encode(machineId)));

describe("an error of gRPC", () => {
  test("is Trailers-Only: one block of headers that ends the stream", async () => {
    const { status, headers, trailers, body } = await callGrpc("no");
    expect({ status, trailers, body: body.length }).toEqual({ status: 200, trailers: {}, body: 0 });
    expect(headers).toMatchObject({ "grpc-status": "10", "grpc-message": "no", "retry-after": "5" });
  });

  test("leaves in the headers what its handler said there", async () => {
    const { headers, trailers } = await callGrpc("told: no");
    expect(headers).toMatchObject({ "x-told": "yes" });
    expect(headers).not.toHaveProperty("grpc-status");
    expect(trailers).toMatchObject({ "grpc-status": "10", "grpc-message": "told: no", "retry-after": "5" });
  });

  test.each([
    ["a/b, c=d? & so on", "a/b, c=d? & so on"],
    ["50 % größer", "50 %25 gr%C3%B6%C3%9Fer"],
  ])("escapes %j as the specification says", async (message, escaped) => {
    expect((await callGrpc(message)).headers["grpc-message"]).toBe(escaped);
  });

  test("is shown by a stock client in its own words", async () => {
    const stock = new grpc.Client(listener.host, grpc.credentials.createInsecure());
    const words = "not found: https://images.example/a,b;c (größer?)";
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      const write = (bytes: Uint8Array) => Buffer.from(bytes);
      stock.makeUnaryRequest(heartbeatPath, write, (bytes) => bytes, encode(words), resolve);
    });
    stock.close();
    expect([error?.code, error?.details]).toEqual([grpc.status.ABORTED, words]);
  });
});

test("answers are not compressed, and say so by saying nothing", async () => {
  const large = await callGrpc("5000", { "grpc-accept-encoding": "gzip", "accept-encoding": "gzip" });
  expect(large.headers).not.toHaveProperty("grpc-encoding");
  expect(large.body[0]).toBe(0);
  expect(fromBinary(HeartbeatResponseSchema, large.body.subarray(5)).installationRequest?.type.value).toMatchObject({
    rootDevice: "x".repeat(5_000),
  });
  const connect = await client.call({
    httpVersion: "1.1",
    headers: { "content-type": "application/proto", "accept-encoding": "gzip" },
    body: encode("5000"),
  });
  expect(connect.headers).not.toHaveProperty("content-encoding");
  expect(connect.body.length).toBeGreaterThan(5_000);
});

describe("gRPC-Web in base64", () => {
  const frame = frameMessage(encode("3"));
  const answer = (rootDevice: string) => {
    const message = create(HeartbeatResponseSchema, {
      installationRequest: { type: { case: "image", value: { rootDevice } } },
    });
    return `${frameMessage(toBinary(HeartbeatResponseSchema, message)).toString("latin1")}\x80\0\0\0\x10grpc-status: 0\r\n`;
  };
  test.each([
    ["1.1", "application/grpc-web-text", frame.toString("base64")],
    ["2", "application/grpc-web-text+proto", frame.toString("base64")],
    [
      "1.1",
      "application/grpc-web-text+proto",
      frame.subarray(0, 4).toString("base64") + frame.subarray(4).toString("base64"),
    ],
  ] as const)("is read and answered over HTTP/%s (%s)", async (httpVersion, type, body) => {
    const {
      status,
      headers,
      body: text,
    } = await client.call({
      httpVersion,
      headers: { "content-type": type },
      body: Buffer.from(body),
    });
    expect([status, headers["content-type"]]).toEqual([200, "application/grpc-web-text+proto"]);
    expect(Buffer.from(text.toString("latin1"), "base64").toString("latin1")).toBe(answer("xxx"));
  });

  test("is 415 without the lane, as the setting says", async () => {
    await using listener = await startAgentListener({ unaryLane: "off" });
    using own = new WireClient(listener);
    const headers = { "content-type": "application/grpc-web-text" };
    const body = Buffer.from(frame.toString("base64"));
    expect((await own.call({ httpVersion: "1.1", headers, body })).status).toBe(415);
    expect(settings.unaryLane.description).toContain("415 to grpc-web-text");
  });

  test("is answered to who sends bytes and wants text", async () => {
    const { headers, body: text } = await client.call({
      httpVersion: "1.1",
      headers: { "content-type": "application/grpc-web+proto", accept: "application/grpc-web-text" },
      body: frame,
    });
    expect(headers["content-type"]).toBe("application/grpc-web-text+proto");
    expect(Buffer.from(text.toString("latin1"), "base64").toString("latin1")).toBe(answer("xxx"));
  });

  test("carries errors as well", async () => {
    const call = (body: string) =>
      client.call({
        httpVersion: "1.1",
        headers: { "content-type": "application/grpc-web-text" },
        body: Buffer.from(body),
      });
    const refused = await call(frameMessage(encode("no")).toString("base64"));
    expect(Buffer.from(refused.body.toString(), "base64").toString()).toMatch(
      /grpc-message: no\r\ngrpc-status: 10\r\n/,
    );
    const nonsense = await call("not base64!");
    expect(Buffer.from(nonsense.body.toString(), "base64").toString()).toMatch(/grpc-status: 3\r\n/);
  });
});

test("a call of gRPC whose target has a query is left to Connect's handler, and answered", async () => {
  const answered = await callGrpc("3", { ":path": `${heartbeatPath}?trace=1` });
  expect(answered).toMatchObject({ status: 200, trailers: { "grpc-status": "0" } });
  expect(fromBinary(HeartbeatResponseSchema, answered.body.subarray(5))).toHaveProperty("installationRequest");
  const { trailers } = await callGrpc("a/b", { ":path": `${heartbeatPath}?trace=1` });
  expect(trailers).toMatchObject({ "grpc-status": "10", "grpc-message": "a%2Fb" });
});

test("a frame's prefix without its message is a body that broke off, not a missing message", async () => {
  for (const type of ["application/grpc", "application/grpc-web"]) {
    const { headers, body } = await callHttp2(session, { "content-type": type }, Buffer.from([0, 0, 0, 0, 9]));
    expect(`${headers["grpc-status"]} ${body}`).toMatch(/^3 |grpc-status: 3\r\n/);
  }
});
