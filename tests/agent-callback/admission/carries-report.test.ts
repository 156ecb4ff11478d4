/** A report is found in whatever form a heartbeat comes, without decoding it. */
import { gzipSync } from "node:zlib";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type HeartbeatRequest, HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { mayCarryReport } from "../../../src/agent-callback/admission/carries-report.ts";
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
