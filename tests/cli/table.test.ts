import { expect, test } from "vitest";
import { formatTable } from "../../src/cli/table.ts";

test("lines columns up by their widest cell and leaves no spaces at the ends of lines", () => {
  expect(
    formatTable(
      ["A", "LONG", "C"],
      [
        ["aaa", "b", ""],
        ["a", "b", "c"],
      ],
    ),
  ).toBe("A    LONG  C\naaa  b\na    b     c\n");
});

test("lines columns up on a terminal, where wide characters take two columns and marks and colours none", () => {
  const rows = [
    ["日本", "a"],
    ["\u0065\u0301te\u0301", "b"],
    ["\u001b[31mred\u001b[39m", "c"],
    ["👍🏽", "d"],
  ];
  expect(formatTable(["NAME", "X"], rows)).toBe(
    "NAME  X\n日本  a\n\u0065\u0301te\u0301   b\n\u001b[31mred\u001b[39m   c\n👍🏽    d\n",
  );
});

test("prints the header alone when there are no rows", () => {
  expect(formatTable(["A", "B"], [])).toBe("A  B\n");
});
