import { describe, expect, test } from "vitest";
import { boundProgress, parseProgressLine } from "../../src/agent/install-progress.ts";

describe("a line that tells progress", () => {
  test.each([
    ["bmaas-progress: 0", { percent: 0 }],
    ["bmaas-progress: 100 done", { percent: 100, phase: "done" }],
    ["bmaas-progress: 40 writing  image, 40 % of it", { percent: 40, phase: "writing  image, 40 % of it" }],
    ["bmaas-progress: - waiting for the network", { phase: "waiting for the network" }],
    ["bmaas-progress: - quiet=86400", { quietForMs: 86_400_000 }],
    ["bmaas-progress: 7 quiet=0 größer", { percent: 7, quietForMs: 0, phase: "größer" }],
    ["bmaas-progress: 40 writing\r", { percent: 40, phase: "writing" }],
    ["bmaas-progress: 40 \u001b[31mred\u0007", { percent: 40, phase: "[31mred" }],
    [`bmaas-progress: 40 ${"x".repeat(4000)}`, { percent: 40, phase: "x".repeat(128) }],
  ])("%j", (line, expected) =>
    expect(parseProgressLine(line)).toEqual({
      phase: undefined,
      percent: undefined,
      quietForMs: undefined,
      ...expected,
    }),
  );

  test.each([
    "",
    "bmaas-progress:",
    "bmaas-progress: ",
    "bmaas-progress: writing image",
    "bmaas-progress: 101",
    "bmaas-progress: -1",
    "bmaas-progress: 040",
    "bmaas-progress: 4e1",
    "bmaas-progress: 40% writing",
    "bmaas-progress:40",
    "bmaas-progress: 40  writing",
    " bmaas-progress: 40",
    "BMAAS-PROGRESS: 40",
    "x bmaas-progress: 40",
    "bmaas-progress: 40 quiet=soon",
    "bmaas-progress: 40 quiet=-5",
    "bmaas-progress: 40 quiet=86401",
    "bmaas-progress: 40 quiet=100000",
  ])("is not %j", (line) => expect(parseProgressLine(line)).toBeUndefined());
});

test("what an installer says is brought into the contract's range", () => {
  expect(boundProgress({ phase: "  ", percent: 400, quietForMs: 10 ** 12 })).toEqual({
    phase: undefined,
    percent: 100,
    quietForMs: 86_400_000,
  });
  expect(boundProgress({ phase: `a\nb\0\ud800`, percent: -1, quietForMs: -1 })).toEqual({
    phase: "a b \ufffd",
    percent: 0,
    quietForMs: 0,
  });
  expect(boundProgress({ percent: 33.4, quietForMs: Number.NaN })).toMatchObject({
    percent: 33,
    quietForMs: undefined,
  });
});
