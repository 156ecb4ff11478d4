import { expect, test } from "vitest";
import { printable, printableBlock, printableJson, printableLines } from "../../src/base/printable.ts";

/**
 * What a terminal would take for a command: escape sequences by ESC and by C1, a bell, a carriage return, directions, a
 * title.
 */
const hostile = "a\u001b[31mb\u009b2Jc\u0007d\u202ee\u2066f\u001b]0;title\u0007\u007f\ud800";

test("shows what a terminal would obey", () => {
  expect(printable(`${hostile}\r\nnext\tline`)).toBe(
    "a\\u{1b}[31mb\\u{9b}2Jc\\u{7}d\\u{202e}e\\u{2066}f\\u{1b}]0;title\\u{7}\\u{7f}\\u{d800} next line",
  );
  expect(printable("Ünïcode 日本語 €")).toBe("Ünïcode 日本語 €");
});

test("keeps the lines of a text, each of them harmless", () => {
  expect(printableLines("one\r\ntwo\rthree\n\tfour\u0007\u2028five\n")).toEqual([
    "one",
    "two",
    "three",
    "  four\\u{7}\\u{2028}five",
  ]);
});

test("keeps line feeds and tabs of a block", () => {
  expect(printableBlock("one\n\ttwo\r\u001b[2J\u202e")).toBe("one\n\ttwo\\u{d}\\u{1b}[2J\\u{202e}");
});

test("leaves JSON that means the same and holds nothing that a terminal would obey", () => {
  const value = { text: `${hostile}\n\u{e0041}` };
  const json = printableJson(JSON.stringify(value, undefined, 2));
  expect(JSON.parse(json)).toEqual(value);
  expect(json.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
});
