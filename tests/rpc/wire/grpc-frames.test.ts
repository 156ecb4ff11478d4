import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase64Body, frameMessage, frameTrailers, readMessage } from "../../../src/rpc/wire/grpc-frames.ts";

const bytes = fc.uint8Array({ maxLength: 40 }) as fc.Arbitrary<Uint8Array<ArrayBuffer>>;
const maxBytes = 1_000;

test("a framed message is read back, wherever trailers stand", () => {
  fc.assert(
    fc.property(bytes, fc.constantFrom("none", "before", "behind"), (message, where) => {
      const trailers = frameTrailers({ a: "b" });
      const frames = [frameMessage(message)];
      if (where === "before") frames.unshift(trailers);
      if (where === "behind") frames.push(trailers);
      expect(readMessage(new Uint8Array(Buffer.concat(frames)), maxBytes, true)).toEqual(message);
    }),
  );
});

test("no bytes at all make it read beyond the body, or throw anything but a ConnectError", () => {
  fc.assert(
    fc.property(bytes, fc.boolean(), (body, hasTrailers) => {
      try {
        const message = readMessage(body, maxBytes, hasTrailers);
        expect(message.byteOffset + message.length).toBeLessThanOrEqual(body.byteOffset + body.length);
      } catch (error) {
        expect(error).toMatchObject({ name: "ConnectError" });
      }
    }),
  );
});

test.each([
  ["nothing", [], "missing input message"],
  ["a prefix that is cut", [0, 0, 0, 0], "incomplete envelope"],
  ["a prefix alone", [0, 0, 0, 0, 1], "incomplete envelope"],
  ["a message that is cut", [0, 0, 0, 0, 2, 1], "incomplete envelope"],
  ["two messages", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "received extra input message"],
  ["a length beyond the limit", [0, 0xff, 0xff, 0xff, 0xff], "4294967295 is larger than configured readMaxBytes 1000"],
  ["a compressed message", [1, 0, 0, 0, 0], "received compressed envelope"],
])("%s is refused", (_what, body, text) => {
  expect(() => readMessage(new Uint8Array(body), maxBytes, false)).toThrow(text);
});

describe("base64", () => {
  test("is decoded whole, in parts that are padded each by itself, and without padding at the end", () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 4 }), fc.boolean(), (parts, isPadded) => {
        const text = parts.map((part) => Buffer.from(part).toString("base64")).join("");
        const body = Buffer.from(isPadded ? text : text.replace(/=+$/, ""));
        expect(Buffer.from(decodeBase64Body(body))).toEqual(Buffer.concat(parts));
      }),
    );
  });

  test.each(["A", "AAAAA", "AA=", "A===", "=", "AA==AA=", "AA-_", "AA AA", "\xff"])("%j is refused", (text) => {
    expect(() => decodeBase64Body(Buffer.from(text, "latin1"))).toThrow("the body is not base64");
  });

  test("is refused unless it is groups of four, any of which may end in padding, and a last one of two or three digits", () => {
    const base64 = /^(?:[A-D+/]{4}|[A-D+/]{2}==|[A-D+/]{3}=)*(?:[A-D+/]{2,3})?$/;
    const characters = fc.constantFrom(..."AABBCCDD++//====-\n");
    fc.assert(
      fc.property(fc.string({ unit: characters, maxLength: 12 }), (text) => {
        const decode = () => decodeBase64Body(Buffer.from(text));
        if (base64.test(text)) decode();
        else expect(decode).toThrow("the body is not base64");
      }),
    );
  });

  test("a megabyte of nonsense is refused at once", () => {
    expect(() => decodeBase64Body(Buffer.from("A=".repeat(500_000)))).toThrow("the body is not base64");
  });
});
