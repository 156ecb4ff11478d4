import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { decodePageToken, encodePageToken, parseKeyNumber, parseKeyUuid } from "../../src/admin/page-token.ts";

const scope = ["events", "a"];
const parse = ([first, ...rest]: readonly string[]) => (rest.length === 0 ? parseKeyNumber(first) : undefined);
const token = encodePageToken(scope, ["12"]);

test("a token carries its key back, and none is the first page", () => {
  expect(decodePageToken(scope, token, parse)).toBe(12n);
  expect(decodePageToken(scope, "", parse)).toBeUndefined();
});

describe("is refused", () => {
  const refusal = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      return ConnectError.from(error).code;
    }
    return undefined;
  };

  test.each([
    ["another list's", encodePageToken(["events", "b"], ["12"])],
    ["one with its scope cut otherwise", encodePageToken([["events", "a"]], ["12"])],
    ["one with another key", encodePageToken(scope, ["x"])],
    ["one with more of a key", encodePageToken(scope, ["12", "13"])],
    ["one without a key", encodePageToken(scope, [])],
    ["one with padding", `${token}=`],
    ["one in another alphabet", `${token.slice(0, -1)}+`],
    [
      "one of another version",
      Buffer.from(`2${Buffer.from(token, "base64url").toString().slice(1)}`).toString("base64url"),
    ],
    ["no token at all", "hello"],
  ])("%s", (_, wrong) => {
    expect(refusal(() => decodePageToken(scope, wrong, parse))).toBe(Code.InvalidArgument);
  });
});

test.each([
  ["1", 1n],
  ["9223372036854775807", 9223372036854775807n],
  ["9223372036854775808", undefined],
  ["0", undefined],
  ["01", undefined],
  ["-1", undefined],
  [" 1", undefined],
  ["", undefined],
  [undefined, undefined],
])("reads %s as the number %s", (text, number) => {
  expect(parseKeyNumber(text)).toBe(number);
});

test.each([
  ["4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11", true],
  ["4B9F3A52-2f0c-4a53-9d0e-6f1f3f1f9c11", false],
  ["4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11\n", false],
  ["4b9f3a522f0c4a539d0e6f1f3f1f9c11", false],
  [undefined, false],
])("whether %s is a UUID: %s", (text, isUuid) => {
  expect(parseKeyUuid(text) !== undefined).toBe(isUuid);
});
