import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  formatContentDigest,
  InvalidContentDigestError,
  parseContentDigest,
  sha256,
} from "../../src/contract/content-digest.ts";

const text = (content: string) => new TextEncoder().encode(content);

describe("Content-Digest against RFC 9530", () => {
  test.each([
    ["appendix B.1", '{"hello": "world"}\n', "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"],
    ["appendix B.2", "", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"],
    ["appendix D", '{"hello": "world"}', "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"],
  ])("computes and writes the digest of %s", async (_appendix, body, field) => {
    expect(formatContentDigest(await sha256(text(body)))).toBe(field);
    expect(parseContentDigest(field).get("sha-256")).toEqual(await sha256(text(body)));
  });

  test("reads the sha-512 of appendix D beside a sha-256, in order", () => {
    const body = '{"hello": "world"}';
    const digests = parseContentDigest(
      "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:, " +
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
    );
    expect([...digests.keys()]).toEqual(["sha-512", "sha-256"]);
    expect(digests.get("sha-512")).toEqual(new Uint8Array(createHash("sha512").update(body).digest()));
  });
});

test.each([
  ["", /names no digest/],
  ["sha-256=abc", /sha-256 is not a byte sequence/],
  ['sha-256="RK/0"', /sha-256 is not a byte sequence/],
  ["sha-256", /sha-256 is not a byte sequence/],
  ["sha-256=(:RK/0:)", /sha-256 is not a byte sequence/],
  ["sha-256=:RK/0", /closing/],
  ["sha-256=:R K:", /base64/],
  ["SHA-256=:RK/0:", /key/],
  ["sha-256=:RK/0:,", /trailing comma/],
])("refuses the field %j by saying what is wrong", (field, reason) => {
  expect(() => parseContentDigest(field)).toThrow(InvalidContentDigestError);
  expect(() => parseContentDigest(field)).toThrow(reason);
});

test("refuses to write a digest of another length than SHA-256 has", () => {
  expect(() => formatContentDigest(new Uint8Array(20))).toThrow(InvalidContentDigestError);
});
