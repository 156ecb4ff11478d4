/** How many loud lines refused callers can cause. */
import { expect, test } from "vitest";
import { createRefusalLines } from "../../../src/rpc/callers/refusal-lines.ts";

function linesAt() {
  let nowMs = 0;
  const take = createRefusalLines(() => nowMs);
  return {
    take,
    wait: (ms: number) => {
      nowMs += ms;
    },
    countLoud: (count: number, addressOf: (index: number) => string) =>
      Array.from({ length: count }, (_, index) => take(addressOf(index))).filter(({ level }) => level === "warn")
        .length,
  };
}

test("an address has twenty, and one more every three seconds, which tells what was not loud", () => {
  const lines = linesAt();
  expect(lines.countLoud(500, () => "192.0.2.1")).toBe(20);
  expect(lines.take("192.0.2.1")).toEqual({ level: "debug" });
  lines.wait(3_000);
  expect(lines.take("192.0.2.1")).toEqual({ level: "warn", unlogged: 481 });
  expect(lines.take("192.0.2.2")).toEqual({ level: "warn" });
});

test("all addresses together have two hundred", () => {
  const lines = linesAt();
  expect(lines.countLoud(5_000, (index) => `2001:db8:0:${index.toString(16)}::1`)).toBe(200);
  lines.wait(10_000);
  expect(lines.countLoud(5_000, (index) => `2001:db8:1:${index.toString(16)}::1`)).toBe(20);
});
