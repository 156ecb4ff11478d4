import { expect, test } from "vitest";
import { findLabel, parseLabelKey, parseLabelValue } from "../../src/contract/labels.ts";

test.each([
  "rack",
  "R12",
  "a",
  "0",
  "a.b_c-d",
  "x".repeat(63),
  "example.com/rack",
  "a-b.example/x_y",
  `${"a.".repeat(126)}b/k`,
])("%s is a key", (key) => {
  expect(parseLabelKey(key)).toBe(key);
});

test.each([
  ["", /is not a label's key: write at most 63/],
  ["-rack", /begin and end with a letter or digit/],
  ["rack.", /begin and end/],
  ["x".repeat(64), /at most 63/],
  ["räck", /letters, digits/],
  ["a b", /letters, digits/],
  ["rack\n", /letters, digits/],
  ["/rack", /before the slash must be a DNS domain/],
  ["example.com/", /is not a label's key/],
  ["a/b/c", /is not a label's key/],
  ["Example.com/rack", /DNS domain/],
  ["example..com/rack", /DNS domain/],
  [`${"a.".repeat(127)}b/k`, /at most 253/],
  ["__proto__", /begin and end/],
])("%j is no key", (key, message) => {
  expect(() => parseLabelKey(key)).toThrow(message);
});

test.each(["", "r12", "a.b_c-d", "9", "x".repeat(63)])("%j is a value", (value) => {
  expect(parseLabelValue(value)).toBe(value);
});

test.each(["-", "a ", "x".repeat(64), "a/b", "\0", "a,b"])("%j is no value", (value) => {
  expect(() => parseLabelValue(value)).toThrow(/is not a label's value/);
});

test("a label that a machine lacks has no value, even if every object has a property of that name", () => {
  const labels = { rack: "r12", site: "" };
  expect(["rack", "site", "team", "toString", "constructor"].map((key) => findLabel(labels, key))).toEqual([
    "r12",
    "",
    undefined,
    undefined,
    undefined,
  ]);
});
