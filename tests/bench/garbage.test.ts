/** What the benchmark reads of V8's garbage collections. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { type Collection, GcTrace, readCollection, sumUp, traceArgs } from "../../bench/garbage/gc-trace.ts";

test("reads the collections that this Node prints, and no other lines", () => {
  const script = "console.log('8443'); gc({ type: 'minor' }); gc();";
  const lines = execFileSync(process.execPath, [...traceArgs, "--expose-gc", "-e", script], { encoding: "utf8" });
  const trace = new GcTrace();
  const others = lines.split("\n").filter((line) => line !== "" && !trace.take(line));
  expect(others).toContain("8443");
  const collections = trace.drain();
  expect(collections.map(({ isMajor }) => isMajor)).toEqual(expect.arrayContaining([false, true]));
  for (const { pauseMs, allocated, promoted, copied } of collections) {
    expect([pauseMs, allocated, promoted, copied].every(Number.isFinite)).toBe(true);
  }
  expect(collections.find(({ isMajor }) => !isMajor)?.allocated).toBeGreaterThan(0);
  expect(trace.drain()).toEqual([]);
  expect(readCollection("[1:0x2] heap: gc=s")).toBeUndefined();
});

test("sums up what calls allocate and what of it survives", () => {
  const scavenge: Collection = { isMajor: false, pauseMs: 2, allocated: 1_000, promoted: 50, copied: 100 };
  const major: Collection = { isMajor: true, pauseMs: 80, allocated: 500, promoted: 400, copied: 0 };
  const scavenges = [scavenge, scavenge, scavenge, scavenge, { ...scavenge, promoted: 300 }];
  expect(sumUp([...scavenges, major], 10)).toEqual({
    scavenges: 5,
    bytesPerCall: 550,
    copiedShare: 0.1,
    promotedShare: 0.1,
    scavengeMs: 10,
    majors: 1,
    longestMajorMs: 80,
  });
  expect(sumUp([scavenge], 10).bytesPerCall).toBeNaN();
});
