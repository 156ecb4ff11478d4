import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { isInnerList, parseDictionary, serializeInnerList } from "structured-headers";
import { describe, expect, test } from "vitest";
import { createSignatureBase, type SignableRequest, SignatureBaseError } from "../../src/contract/signature-base.ts";

/** RFC 9421 appendix B.1.4, the published key of the specification's own examples. */
const testKeyEd25519 = createPrivateKey({
  key: Buffer.from("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF", "base64"),
  format: "der",
  type: "pkcs8",
});

/** The request of RFC 9421 appendix B.2. */
const testRequest: SignableRequest = {
  method: "POST",
  scheme: "https",
  authority: "example.com",
  target: "/foo?param=Value&Pet=dog",
  headers: new Map([
    ["date", ["Tue, 20 Apr 2021 02:07:55 GMT"]],
    ["content-type", ["application/json"]],
    [
      "content-digest",
      ["sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"],
    ],
    ["content-length", ["18"]],
  ]),
};

describe("RFC 9421 appendix B.2.6", () => {
  const input =
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"';
  const expectedBase = `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`;
  const expectedSignature = Buffer.from(
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    "base64",
  );
  const member = parseDictionary(input).get("sig-b26");
  if (member === undefined || !isInnerList(member)) throw new Error("the vector is not a list of components");
  const names = member[0].map(([name]) => String(name));
  const base = createSignatureBase(testRequest, names, serializeInnerList(member));

  test("gives the published signature base", () => expect(base).toBe(expectedBase));

  test("gives the published signature, which the published key verifies", () => {
    expect(sign(null, Buffer.from(base), testKeyEd25519)).toEqual(expectedSignature);
    expect(verify(null, Buffer.from(base), createPublicKey(testKeyEd25519), expectedSignature)).toBe(true);
  });
});

describe("derived components (RFC 9421 section 2.2)", () => {
  const derive = (name: string, change: Partial<SignableRequest> = {}) =>
    createSignatureBase({ ...testRequest, ...change }, [name], "").split("\n")[0];

  test.each([
    ["@method", {}, "POST"],
    ["@scheme", {}, "https"],
    ["@authority", { authority: "Example.COM:443" }, "example.com"],
    ["@authority", { authority: "example.com:80" }, "example.com:80"],
    ["@authority", { authority: "example.com:80", scheme: "http" as const }, "example.com"],
    ["@authority", { authority: "[::1]:8443" }, "[::1]:8443"],
    ["@path", { target: "" }, "/"],
    ["@path", { target: "?a=b" }, "/"],
    ["@path", { target: "/a%2Fb/./c?d" }, "/a%2Fb/./c"],
    ["@query", {}, "?param=Value&Pet=dog"],
    ["@query", { target: "/foo" }, "?"],
    ["@request-target", {}, "/foo?param=Value&Pet=dog"],
    ["@target-uri", {}, "https://example.com/foo?param=Value&Pet=dog"],
  ])("%s of %j", (name, change, value) => expect(derive(name, change)).toBe(`"${name}": ${value}`));

  test("refuses one that it does not know", () => expect(() => derive("@status")).toThrow(SignatureBaseError));
});

describe("fields (RFC 9421 section 2.1)", () => {
  const field = (...lines: string[]) =>
    createSignatureBase({ ...testRequest, headers: new Map([["x", lines]]) }, ["x"], "").split("\n")[0];

  test("trims each line and joins them by a comma", () => expect(field("  a ", "\tb, c")).toBe('"x": a, b, c'));
  test("keeps an empty line", () => expect(field("")).toBe('"x": '));
  test("unfolds a folded line", () => expect(field("a \r\n  b")).toBe('"x": a b'));
  test("refuses a value that would begin a line of its own", () =>
    expect(() => field('a\n"@method": GET')).toThrow(SignatureBaseError));
  test("refuses a value that is not ASCII", () => expect(() => field("é")).toThrow(SignatureBaseError));
  test("refuses a field that the request has not", () =>
    expect(() => createSignatureBase(testRequest, ["x"], "")).toThrow("the request has no field x"));
  test("refuses a component named twice", () =>
    expect(() => createSignatureBase(testRequest, ["date", "date"], "")).toThrow(SignatureBaseError));
  test("trims a long value in linear time", () => expect(field(`a${" ".repeat(200_000)}b`)).toHaveLength(200_007));
});
