import { describe, expect, test } from "vitest";
import { formatCapacity, formatMemory } from "../../../src/cli/operator/quantity.ts";
import { formatAge, formatTime } from "../../../src/cli/operator/time.ts";
import { parseBytes, parseDurationMs } from "../../../src/contract/amounts.ts";

describe("an amount of bytes", () => {
  test.each<[string, bigint]>([
    ["500", 500n],
    ["16GiB", 16n * 1024n ** 3n],
    ["1.92TB", 1_920_000_000_000n],
    ["1.5 KiB", 1536n],
    ["7EiB", 7n * 1024n ** 6n],
    ["64m", 64_000_000n],
  ])("is read from %s", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test.each(["", "-1", "GiB", "1.5", "8EiB", "1e3", "0x10", "16 G i B", "1.0000001kB"])(
    "is not read from %j",
    (text) => {
      expect(() => parseBytes(text)).toThrow(/is not an amount of bytes/);
    },
  );

  test("is shown as it is sold", () => {
    expect([0n, 999n, 1_000n, 999_900_000n, 1_920_383_410_176n].map(formatCapacity)).toEqual([
      "0 B",
      "999 B",
      "1 kB",
      "1 GB",
      "1.92 TB",
    ]);
    expect([1023n, 1024n, 274_877_906_944n, 1023n * 1024n ** 3n].map(formatMemory)).toEqual([
      "1023 B",
      "1 KiB",
      "256 GiB",
      "1023 GiB",
    ]);
  });
});

describe("a time", () => {
  const now = Date.UTC(2026, 2, 1, 12);

  test.each([
    [0, "just now"],
    [-1_400, "just now"],
    [-42_000, "42 s ago"],
    [-180_000, "3 min ago"],
    [7_200_000, "in 2 h"],
    [-12 * 86_400_000, "12 d ago"],
  ])("%d ms away is told as %s", (awayMs, text) => {
    expect(formatAge(now + awayMs, now)).toBe(text);
  });

  test("is told in full with its distance", () => {
    expect(formatTime(now - 180_000, now)).toBe("2026-03-01 11:57:00Z (3 min ago)");
  });

  test("is far away by a duration with a unit", () => {
    expect(["90s", "15m", "1.5h", "30d"].map(parseDurationMs)).toEqual([90_000, 900_000, 5_400_000, 2_592_000_000]);
    for (const text of ["", "5", "-1s", "1w", "1 h"]) expect(() => parseDurationMs(text)).toThrow(/not a duration/);
    expect(parseDurationMs("36525d")).toBe(3_155_760_000_000);
    for (const text of ["36525.1d", "99999999d", `${"9".repeat(400)}s`])
      expect(() => parseDurationMs(text)).toThrow(/^"9{0,80}[\d.]*[ds]?" is longer than a century$/);
  });
});
