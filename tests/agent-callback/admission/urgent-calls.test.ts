/** A report is found in whatever form a heartbeat comes, without decoding it. */
import { gzipSync } from "node:zlib";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type HeartbeatRequest, HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { mayCarryReport } from "../../../src/agent-callback/admission/urgent-calls.ts";
import { frameMessage } from "../../../src/rpc/wire/grpc-frames.ts";

const encode = (request: HeartbeatRequest) => toBinary(HeartbeatRequestSchema, request);
const bytesOf = (text: string) => new TextEncoder().encode(text);

const forms: Record<string, (request: HeartbeatRequest) => Uint8Array> = {
  "application/proto": encode,
  "application/grpc": (request) => frameMessage(encode(request)),
  "application/grpc+proto": (request) => frameMessage(encode(request)),
  "application/grpc-web+proto": (request) => frameMessage(encode(request)),
  "application/grpc-web-text": (request) => bytesOf(frameMessage(encode(request)).toString("base64")),
  "application/json": (request) => bytesOf(toJsonString(HeartbeatRequestSchema, request)),
  "application/json; charset=utf-8": (request) =>
    bytesOf(toJsonString(HeartbeatRequestSchema, request, { useProtoFieldName: true })),
  "application/grpc+json": (request) => frameMessage(bytesOf(toJsonString(HeartbeatRequestSchema, request))),
};

const heartbeats = fc
  .record({
    machineId: fc.uuid(),
    agentVersion: fc.string({ maxLength: 300 }),
    hasHardware: fc.boolean(),
    hasReport: fc.boolean(),
    hasProgress: fc.boolean(),
  })
  .map(({ machineId, agentVersion, hasHardware, hasReport, hasProgress }) => ({
    hasReport,
    request: create(HeartbeatRequestSchema, {
      machineId,
      agentVersion: agentVersion.toWellFormed(),
      ...(hasHardware && { hardwareReport: { report: { product: "installation" } } }),
      ...(hasReport && { installationReport: { generation: 1n } }),
      ...(hasProgress && { installationProgress: { generation: 1n } }),
    }),
  }));

describe.each(Object.keys(forms))("%s", (contentType) => {
  const form = forms[contentType] as (request: HeartbeatRequest) => Uint8Array;

  test("says whether there is a report", () => {
    fc.assert(
      fc.property(heartbeats, ({ request, hasReport }) => {
        // JSON escapes what it must, and an escape may hide a name.
        fc.pre(!contentType.includes("json") || !JSON.stringify(request.agentVersion).includes("\\u"));
        const call = { headers: { "content-type": contentType }, body: form(request) };
        expect(mayCarryReport(call)).toBe(hasReport);
      }),
    );
  });

  test("bytes that are nothing do no harm", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        expect(typeof mayCarryReport({ headers: { "content-type": contentType }, body })).toBe("boolean");
      }),
    );
  });
});

/**
 * A body that counts which of its bytes may be looked at: those of its parts, or all when something else is done with
 * it.
 */
function watch(body: Uint8Array): { body: Uint8Array; looked: () => number } {
  const seen = new Set<number>();
  let isAllOpen = false;
  const note = (start: number, end: number) => {
    for (let index = start; index < end; index++) seen.add(index);
  };
  const watched = new Proxy(body, {
    get(bytes, name) {
      if (name === "length") return bytes.length;
      if (name === "subarray") {
        return (...range: [number?, number?]) => {
          const part = bytes.subarray(...range);
          const start = part.byteOffset - bytes.byteOffset;
          note(start, start + part.length);
          return part;
        };
      }
      isAllOpen = true;
      const value: unknown = Reflect.get(bytes, name, bytes);
      return typeof value === "function" ? value.bind(bytes) : value;
    },
  });
  return { body: watched, looked: () => (isAllOpen ? body.length : seen.size) };
}

const mebibyte = 1024 * 1024;
const fill = (bytes: number[], size: number) => Buffer.alloc(size, Buffer.from(bytes));

/** Bodies of which a look at every field, or at every byte, would cost their sender little and the server much. */
const hostile: [contentType: string, what: string, body: (size: number) => Uint8Array][] = [
  ["application/proto", "small fields", (size) => fill([0x98, 0x06, 0x00], size)],
  ["application/proto", "empty strings", (size) => fill([0x8a, 0x01, 0x00], size)],
  ["application/proto", "a number without end", (size) => Buffer.concat([Buffer.of(0x98, 0x06), fill([0x80], size)])],
  ["application/proto", "a tag without end", (size) => fill([0xff], size)],
  ["application/proto", "groups without end", (size) => fill([0x2b], size)],
  ["application/proto", "groups", (size) => fill([0x2b, 0x2c], size)],
  ["application/grpc", "small fields", (size) => frameMessage(fill([0x98, 0x06, 0x00], size))],
  ["application/grpc-web+proto", "small fields", (size) => frameMessage(fill([0x98, 0x06, 0x00], size))],
  ["application/grpc-web-text", "small pieces", (size) => fill([...bytesOf("AA==")], size)],
  [
    "application/grpc-web-text",
    "small fields",
    (size) => bytesOf(frameMessage(fill([0x98, 0x06, 0x00], size)).toString("base64")),
  ],
  ["application/json", "a long text", (size) => bytesOf(`{"agentVersion":"${"x".repeat(size)}"}`)],
  ["application/json", "many keys", (size) => bytesOf(`{"a":0${',"b":0'.repeat(size / 6)}}`)],
  ["application/grpc+json", "a long text", (size) => frameMessage(bytesOf(`{"agentVersion":"${"x".repeat(size)}"}`))],
];

test.each(hostile)("%s with %s: as little of a mebibyte is looked at as of 16 KiB", (contentType, _what, make) => {
  const [small, large] = [16 * 1024, mebibyte].map((size) => {
    const { body, looked } = watch(make(size));
    expect(mayCarryReport({ headers: { "content-type": contentType }, body })).toBe(false);
    return looked();
  });
  expect(large).toBe(small);
  expect(large).toBeLessThanOrEqual(8 * 1024);
});

const large = { hardwareReport: { report: { product: "x".repeat(300_000) } }, installationReport: { generation: 1n } };
test.each(Object.keys(forms).filter((form) => form !== "application/grpc-web-text"))(
  "%s: a report behind much hardware is seen",
  (contentType) => {
    const body = forms[contentType]?.(create(HeartbeatRequestSchema, large)) as Uint8Array;
    expect(mayCarryReport({ headers: { "content-type": contentType }, body })).toBe(true);
  },
);

test("a report that stands too far inside to be seen is taken for none", () => {
  const text = forms["application/grpc-web-text"]?.(create(HeartbeatRequestSchema, large)) as Uint8Array;
  expect(mayCarryReport({ headers: { "content-type": "application/grpc-web-text" }, body: text })).toBe(false);
  const around = `"a":"${"x".repeat(10_000)}"`;
  const json = bytesOf(`{${around},"installationReport":{},${around}}`);
  expect(mayCarryReport({ headers: { "content-type": "application/json" }, body: json })).toBe(false);
  const binary = Buffer.concat([fill([0x98, 0x06, 0x00], 3 * 40), Buffer.of(0x1a, 0x00)]);
  expect(mayCarryReport({ headers: { "content-type": "application/proto" }, body: binary })).toBe(false);
});

test("what is compressed, or escaped, may have one", () => {
  const request = create(HeartbeatRequestSchema, { installationReport: { generation: 1n } });
  const body = gzipSync(encode(request));
  expect(mayCarryReport({ headers: { "content-type": "application/proto", "content-encoding": "gzip" }, body })).toBe(
    true,
  );
  expect(
    mayCarryReport({
      headers: { "content-type": "application/grpc", "grpc-encoding": "gzip" },
      body: frameMessage(body),
    }),
  ).toBe(true);
  const escaped = bytesOf('{"installation\\u0052eport":{}}');
  expect(JSON.parse(new TextDecoder().decode(escaped))).toEqual({ installationReport: {} });
  expect(mayCarryReport({ headers: { "content-type": "application/json" }, body: escaped })).toBe(true);
});
