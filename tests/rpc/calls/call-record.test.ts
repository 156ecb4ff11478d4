/** Every call is told of once, by either way, with what its caller was told. */
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { AgentCallback, HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { CallRecord } from "../../../src/rpc/calls/call-record.ts";
import { startAgentListener, type TestListener } from "../../support/agent-listener.ts";
import { callHttp2, frameMessage, heartbeatHead, openRaw } from "../../support/raw-connection.ts";

const encode = (machineId: string) => toBinary(HeartbeatRequestSchema, create(HeartbeatRequestSchema, { machineId }));
const json = (machineId: string) => JSON.stringify({ machineId });

describe.each(["on", "off"] as const)("with the lane %s", (unaryLane) => {
  const records: CallRecord[] = [];
  let listener: TestListener;
  let session: ClientHttp2Session;
  const waiting = vi.fn();

  beforeAll(async () => {
    listener = await startAgentListener({
      unaryLane,
      tls: false,
      limits: { maxBodyBytes: 1_000, bodyTimeoutMs: 200, lingerTimeoutMs: 100, checkIntervalMs: 50 },
      onCall: (record) => records.push(record),
      authenticate: (_connection, _values) => (call) => {
        if (call.headers["x-stranger"] !== undefined) throw new ConnectError("who?", Code.Unauthenticated);
      },
      heartbeat: async ({ machineId }, { signal }) => {
        if (machineId === "bug") throw new Error("not for the caller");
        if (machineId === "wait") {
          waiting();
          await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        }
        if (machineId !== "") throw new ConnectError(machineId, Code.FailedPrecondition);
        return {};
      },
    });
    session = connectHttp2(listener.agentUrl);
    session.on("error", () => {});
  });

  afterEach(() => {
    records.length = 0;
    waiting.mockClear();
  });

  afterAll(async () => {
    session?.destroy();
    await listener?.[Symbol.asyncDispose]();
  });

  async function expectRecord(protocol: CallRecord["protocol"], code: string): Promise<void> {
    await expect.poll(() => records.length).toBeGreaterThan(0);
    expect(records).toMatchObject([{ method: AgentCallback.method.heartbeat, protocol, code }]);
    expect(records[0]?.durationMs).toBeGreaterThanOrEqual(0);
  }

  const protocols = [
    ["application/grpc", "grpc", (id: string) => frameMessage(encode(id))],
    ["application/grpc-web+proto", "grpc-web", (id: string) => frameMessage(encode(id))],
    ["application/proto", "connect", (id: string) => encode(id)],
    ["application/json", "connect", (id: string) => Buffer.from(json(id))],
  ] as const;

  describe.each(protocols)("%s", (type, protocol, body) => {
    const call = (what: Uint8Array, headers = {}) => callHttp2(session, { "content-type": type, ...headers }, what);

    test.each<[string, string, () => Promise<unknown>]>([
      ["an answer", "ok", () => call(body(""))],
      ["an error of the handler", "failed_precondition", () => call(body("no"))],
      ["a fault of ours", "internal", () => call(body("bug"))],
      ["a stranger", "unauthenticated", () => call(body(""), { "x-stranger": "yes" })],
      ["a message that cannot be decoded", "invalid_argument", () => call(frameMessage(Buffer.from([0x0a, 0x7f])))],
      ["a body that is too large", "resource_exhausted", () => call(Buffer.alloc(2_000))],
      [
        "a deadline that is none",
        "invalid_argument",
        () => call(body(""), { "grpc-timeout": "soon", "connect-timeout-ms": "soon" }),
      ],
      [
        "a deadline that passes",
        "deadline_exceeded",
        () => call(body("wait"), { "grpc-timeout": "50m", "connect-timeout-ms": "50" }),
      ],
      [
        "a compression that nobody knows",
        "unimplemented",
        () => call(body(""), { "grpc-encoding": "zstd", "content-encoding": "zstd" }),
      ],
    ])("%s is %s", async (_what, code, act) => {
      await act();
      await expectRecord(protocol, code);
    });

    test("a compressed request is ok", async () => {
      const isFramed = type.includes("grpc");
      const packed = gzipSync(isFramed ? body("").subarray(5) : body(""));
      await call(isFramed ? frameMessage(packed, { flags: 1 }) : packed, {
        [isFramed ? "grpc-encoding" : "content-encoding"]: "gzip",
      });
      await expectRecord(protocol, "ok");
    });

    test("a body that does not arrive in time is deadline_exceeded", async () => {
      await callHttp2(session, { "content-type": type }, (stream) => stream.write(body("").subarray(0, 1)));
      await expectRecord(protocol, "deadline_exceeded");
    });

    test("a caller who leaves before its answer is canceled", async () => {
      await callHttp2(session, { "content-type": type }, (stream) => {
        stream.end(body("wait"));
        void expect
          .poll(() => waiting)
          .toHaveBeenCalled()
          .then(() => stream.close(8));
      });
      await expectRecord(protocol, "canceled");
    });
  });

  test.each([
    ["ok", ""],
    ["failed_precondition", "no"],
  ])("over HTTP/1.1 it is the same (%s)", async (code, machineId) => {
    using connection = await openRaw({ url: listener.agentUrl });
    const body = json(machineId);
    await connection.send(heartbeatHead(listener.host, { "Content-Length": body.length }), body);
    await connection.until(/\}$/);
    await expectRecord("connect", code);
  });

  // By HTTP/1.1: a client of node:http2 ends its stream before it resets it.
  test("a caller who leaves in the midst of its body is canceled", async () => {
    using connection = await openRaw({ url: listener.agentUrl });
    await connection.send(heartbeatHead(listener.host, { "Content-Length": 100 }), "{");
    connection.socket.resetAndDestroy();
    await expectRecord("connect", "canceled");
  });

  test("a connection that breaks before the answer is canceled", async () => {
    using connection = await openRaw({ url: listener.agentUrl });
    const body = json("wait");
    await connection.send(heartbeatHead(listener.host, { "Content-Length": body.length }), body);
    await expect.poll(() => waiting).toHaveBeenCalled();
    connection.socket.resetAndDestroy();
    await expectRecord("connect", "canceled");
  });

  test("a request by another method is unimplemented, in no protocol that its type does not name", async () => {
    await callHttp2(session, { ":method": "PUT", "content-type": "application/json" }, "{}");
    await expectRecord("connect", "unimplemented");
  });
});
