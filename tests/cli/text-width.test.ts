/** Text takes the room on a terminal that it seems to take. */
import { expect, test } from "vitest";
import { formatFields } from "../../src/cli/operator/output.ts";
import { cutTo, padTo, shorten, widthOf } from "../../src/cli/text-width.ts";

test.each([
  ["abc", 3],
  ["日本語", 6],
  ["e\u0301", 1],
  ["👍🏽", 2],
  ["ﾊﾝｶｸ", 4],
  ["\u001b[31mred\u001b[39m", 3],
])("%j takes %i columns", (text, width) => {
  expect(widthOf(text)).toBe(width);
  expect(padTo(text, 8)).toBe(text + " ".repeat(8 - width));
});

test.each([
  ["abcdef", 4, "abcd"],
  ["日本語", 5, "日本"],
  ["a👍🏽b", 2, "a"],
  ["ne\u0301e\u0301", 2, "ne\u0301"],
  ["short", 10, "short"],
])("%j cut to %i columns is %j", (text, width, cut) => {
  expect(cutTo(text, width)).toBe(cut);
});

test("a text that is shortened is printable first, and marks that take no room do not make it long", () => {
  expect(shorten("日本語の端末", 8)).toBe("日本語…");
  expect(shorten("a\u200bb", 5)).toBe("a\\u{…");
  expect(shorten(`a${"\u0301".repeat(10_000)}`, 10).length).toBeLessThan(100);
});

test("fields stand below one another whatever their names are written in", () => {
  const lines = formatFields([
    ["名前", "a"],
    ["name", "b"],
  ]);
  expect(lines).toBe("名前  a\nname  b");
});
