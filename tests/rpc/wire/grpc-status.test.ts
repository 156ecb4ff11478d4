import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeGrpcMessage, setErrorTrailers } from "../../../src/rpc/wire/grpc-status.ts";

/** As PROTOCOL-HTTP2 has a receiver do it: %XX is a byte, everything else stays. */
function decode(text: string): string {
  const bytes = text.replace(/%([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString();
}

test("any text comes back, and is printable ASCII that HTTP leaves as it is on the way", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "grapheme" }), fc.string({ unit: "binary-ascii" })), (text) => {
      const encoded = encodeGrpcMessage(text);
      expect(decode(encoded)).toBe(text);
      expect(encoded).toMatch(/^(?:[!-~](?:[ -~]*[!-~])?)?$/);
    }),
  );
});

test.each([
  ["machine_id: a/b, c=d?", "machine_id: a/b, c=d?"],
  ["100 %", "100 %25"],
  ["größer", "gr%C3%B6%C3%9Fer"],
  ["two\nlines\x7f", "two%0Alines%7F"],
  [" spaced ", "%20spaced%20"],
  ["", ""],
])("%j is %j: what needs no escape has none", (text, encoded) => {
  expect(encodeGrpcMessage(text)).toBe(encoded);
});

test("half a surrogate pair does no harm", () => {
  const trailer = new Headers();
  setErrorTrailers(trailer, new ConnectError("a\ud800b", Code.Aborted, { "x-why": "c" }));
  expect([...trailer]).toEqual([
    ["grpc-message", "a%EF%BF%BDb"],
    ["grpc-status", "10"],
    ["x-why", "c"],
  ]);
});
