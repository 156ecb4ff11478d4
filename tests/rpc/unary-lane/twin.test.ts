/**
 * The lane against Connect's handler: for generated calls both answer alike, byte for byte where a protocol fixes the
 * bytes.
 */
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { startAgentListener, type TestListener } from "../../support/agent-listener.ts";
import { frameMessage } from "../../support/raw-connection.ts";
import { runScript, type Script } from "../../support/scripted-handler.ts";
import { type WireAnswer, type WireCall, WireClient } from "../../support/wire-call.ts";

const kinds = [
  ["application/grpc", "2"],
  ["application/grpc+proto", "2"],
  ["application/grpc-web", "1.1"],
  ["application/grpc-web+proto", "2"],
  ["application/proto", "1.1"],
  ["application/proto", "2"],
  ["application/json", "1.1"],
  ["application/json", "2"],
] as const;

const value = fc.stringMatching(/^[!-~]([ -~]{0,12}[!-~])?$/);
const binaryValue = fc
  .uint8Array({ maxLength: 12 })
  .map((bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, ""));
const field = fc.oneof(
  fc.tuple(fc.stringMatching(/^x-[a-z0-9_.-]{1,8}$/), value),
  fc.tuple(
    fc.constantFrom("x-a-bin", "x-b-bin"),
    binaryValue.filter((text) => text !== ""),
  ),
  fc.tuple(fc.constantFrom("set-cookie", "etag", "x-twice"), value),
);
const fields = fc.array(field, { maxLength: 4 });
/** Fields of HTTP and of the protocols themselves; those of an error do not overwrite them. */
const reservedField = fc.tuple(
  fc.constantFrom("content-type", "content-length", "grpc-status", "grpc-message", "date", "host"),
  value,
);

const script: fc.Arbitrary<Script> = fc.record(
  {
    header: fields,
    trailer: fields,
    generation: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
    error: fc.record(
      {
        code: fc.constantFrom(...Object.values(Code).filter((code): code is Code => typeof code === "number")),
        message: fc.string({ unit: "grapheme", maxLength: 30 }),
        metadata: fc.array(fc.oneof(field, reservedField), { maxLength: 3 }),
        hasDetails: fc.boolean(),
      },
      { requiredKeys: ["message", "metadata", "hasDetails"] },
    ),
    isSlow: fc.boolean(),
  },
  { requiredKeys: ["header", "trailer", "isSlow"] },
);

/** At most one thing is wrong with a request: which of two is told first is nobody's business. */
type Fault = (call: WireCall) => WireCall;
const withHeader =
  (name: string, text: string): Fault =>
  (call) => ({ ...call, headers: { ...call.headers, [name]: text } });
const withMessage =
  (bytes: Uint8Array): Fault =>
  (call) => ({ ...call, body: isFramed(call) ? frameMessage(bytes) : bytes });
const withBody =
  (change: (body: Uint8Array, message: Uint8Array) => Uint8Array): Fault =>
  (call) =>
    isFramed(call) ? { ...call, body: change(call.body, call.body.subarray(5)) } : call;
const concat = (...parts: Uint8Array[]) => Buffer.concat(parts);

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc
    .constantFrom("soon", "-1", "1e3", "", " ", "123456789S", "12345678901", "5S, 6S")
    .chain((text) => fc.constantFrom(withHeader("grpc-timeout", text), withHeader("connect-timeout-ms", text))),
  // By Connect it would be five milliseconds, which pass while the handler runs, or do not.
  fc.constant(withHeader("grpc-timeout", "5")),
  fc.uint8Array({ minLength: 1, maxLength: 20 }).map(withMessage),
  fc
    .constantFrom("", "{", "[]", "null", '{"machineid":"x"}', '{"machineId":7}', "\ufeff{}", '{"machineId":"\ud800"}')
    .map((text) => withMessage(Buffer.from(text))),
  fc.constant(withMessage(Buffer.from([0x0a, 0x02, 0xff, 0xfe]))),
  fc.constantFrom<Fault>(
    withBody(() => Buffer.alloc(0)),
    withBody((body) => body.subarray(0, 3)),
    withBody((body) => body.subarray(0, -1)),
    withBody((body) => concat(body, body)),
    withBody((body) => concat(body, Buffer.from([0, 0]))),
    withBody((_body, message) => frameMessage(message, { length: 0xffffffff })),
    withBody((_body, message) => frameMessage(message, { flags: 1 })),
    withBody((_body, message) => frameMessage(message, { flags: 2 })),
    withBody((body, message) => concat(body, frameMessage(message, { flags: 0x80 }))),
    withBody((_body, message) => frameMessage(message, { flags: 0x80 })),
  ),
);

const extraHeaders = fc.record(
  {
    "grpc-timeout": fc.constantFrom("10S", "1H", "99999999H", "600000m", "99999999u"),
    "connect-timeout-ms": fc.constantFrom("60000", "120000", "9999999999"),
    "connect-protocol-version": fc.constantFrom("1", "2", ""),
    "grpc-accept-encoding": fc.constantFrom("identity", "gzip", "identity,deflate,gzip", "zstd"),
    "accept-encoding": fc.constantFrom("gzip, deflate, br", "identity", "*"),
    "grpc-encoding": fc.constantFrom("identity", "gzip", "zstd"),
    "content-encoding": fc.constantFrom("identity", "zstd"),
    te: fc.constant("trailers"),
    "user-agent": value,
    cookie: fc.constant("a=b"),
  },
  { requiredKeys: [] },
);

const call: fc.Arbitrary<WireCall> = fc
  .record({
    kind: fc.constantFrom(...kinds),
    script,
    headers: extraHeaders,
    metadata: fields,
    fault: fc.option(fault, { freq: 2 }),
  })
  .map(({ kind: [type, httpVersion], script: what, headers, metadata, fault: change }) => {
    const request = create(HeartbeatRequestSchema, { machineId: JSON.stringify(what) });
    const bytes = type.endsWith("json")
      ? Buffer.from(toJsonString(HeartbeatRequestSchema, request))
      : toBinary(HeartbeatRequestSchema, request);
    const body = type.includes("grpc") ? frameMessage(bytes) : bytes;
    // Node's client of HTTP/2 refuses to repeat those that may stand only once.
    const given = Object.fromEntries(metadata.filter(([name]) => name !== "etag"));
    const whole: WireCall = { httpVersion, headers: { ...given, ...headers, "content-type": type }, body };
    return change?.(whole) ?? whole;
  });

function isFramed({ headers }: WireCall): boolean {
  return String(headers["content-type"]).includes("grpc");
}

describe.each([
  ["in plaintext", false, 400],
  ["with TLS", true, 100],
])("%s", (_name, tls, numRuns) => {
  const listeners: TestListener[] = [];
  const clients: WireClient[] = [];
  beforeAll(async () => {
    for (const unaryLane of ["on", "off"] as const) {
      const listener = await startAgentListener({ tls, heartbeat: runScript, unaryLane });
      listeners.push(listener);
      clients.push(new WireClient(listener));
    }
  });
  afterAll(async () => {
    for (const client of clients) client[Symbol.dispose]();
    for (const listener of listeners) await listener[Symbol.asyncDispose]();
  });

  test("the lane answers as Connect's handler does", { timeout: 240_000 }, async () => {
    const property = fc.asyncProperty(call, async (one) => {
      const [lane, connect] = await Promise.all(clients.map((client) => client.call(one)));
      expect(lane && readAnswer(lane)).toEqual(connect && readAnswer(connect));
    });
    await fc.assert(property, { numRuns });
  });
});

/** Fields about the connection and the way of sending, and those that docs/decisions/0010 says differ. */
const incidental = ["date", "connection", "keep-alive", "transfer-encoding", "grpc-encoding", "grpc-accept-encoding"];

type Fields = NodeJS.Dict<string | string[]>;

function readAnswer({ status, headers, trailers, body }: WireAnswer) {
  const type = String(headers["content-type"]);
  if (!type.startsWith("application/grpc")) {
    return { status, head: readFields(headers), trailers: readFields(trailers), body: body.toString("latin1") };
  }
  if (type.startsWith("application/grpc-web")) {
    const { messages, fields: last } = readFrames(body);
    const head = { ...readFields(headers), "content-length": "" };
    return { status, head, messages, last: readStatus(last), trailers: readFields(trailers) };
  }
  // An error may be Trailers-Only: all of it stands in the head then.
  const isError = (headers["grpc-status"] ?? trailers["grpc-status"]) !== "0";
  const [head, last] = isError ? [{}, { ...headers, ...trailers }] : [headers, trailers];
  return { status, head: readFields(head), last: readStatus(last), body: body.toString("hex") };
}

function readFields(fields: Fields): Fields {
  const known = Object.entries(fields).filter(([name]) => !incidental.includes(name));
  // Before Connect's handler, errors repeat the request's type.
  return Object.fromEntries(
    known.map(([name, text]) => [
      name,
      name === "content-type" ? String(text).replace(/grpc(-web)?$/, "$&+proto") : text,
    ]),
  );
}

function readStatus(fields: Fields): Fields {
  return { ...readFields(fields), "grpc-message": decodeURIComponent(String(fields["grpc-message"] ?? "")) };
}

function readFrames(body: Buffer) {
  const messages: string[] = [];
  const fields: Record<string, string[]> = {};
  for (let at = 0; at < body.length; ) {
    const data = body.subarray(at + 5, at + 5 + body.readUInt32BE(at + 1));
    if (body[at] === 0x80) {
      for (const line of data.toString("latin1").split("\r\n").filter(Boolean)) {
        const [name = "", ...rest] = line.split(": ");
        fields[name] = [...(fields[name] ?? []), rest.join(": ")];
      }
    } else messages.push(`${body[at]} ${data.toString("hex")}`);
    at += 5 + data.length;
  }
  return {
    messages,
    fields: Object.fromEntries(Object.entries(fields).map(([name, lines]) => [name, lines.join("\n")])),
  };
}
