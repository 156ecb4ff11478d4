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

test("prints the header alone when there are no rows", () => {
  expect(formatTable(["A", "B"], [])).toBe("A  B\n");
});
