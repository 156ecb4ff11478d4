import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSharedTimeout } from "../../../src/rpc/connections/shared-timeout.ts";

describe("items", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  interface Item {
    readonly name: string;
  }
  const make = (...names: string[]): Item[] => names.map((name) => ({ name }));

  test("expire each in its own time, unless they are done before, and without items there is no timer", () => {
    const expired: string[] = [];
    const timeout = createSharedTimeout<Item>(1_000, 100, ({ name }) => expired.push(name));
    const [first, second, done, unknown] = make("first", "second", "done", "unknown") as [Item, Item, Item, Item];
    timeout.add(first);
    vi.advanceTimersByTime(500);
    timeout.add(second);
    timeout.add(done);
    timeout.add(first);
    timeout.delete(done);
    timeout.delete(unknown);
    vi.advanceTimersByTime(499);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(201);
    expect(expired).toEqual(["first"]);
    vi.advanceTimersByTime(500);
    expect(expired).toEqual(["first", "second"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("leave from the beginning, the middle and the end, and may be added again when they expire", () => {
    const expired: string[] = [];
    const timeout = createSharedTimeout<Item>(1_000, 100, (item) => {
      expired.push(item.name);
      if (expired.length === 1) timeout.add(item);
    });
    const items = make("a", "b", "c", "d", "e");
    for (const item of items) timeout.add(item);
    for (const index of [0, 2, 4]) timeout.delete(items[index] as Item);
    for (const index of [0, 2, 4]) timeout.delete(items[index] as Item);
    vi.advanceTimersByTime(1_200);
    expect(expired).toEqual(["b", "d"]);
    vi.advanceTimersByTime(1_200);
    expect(expired).toEqual(["b", "d", "b"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("wait in one timeout whether or not they wait in another", () => {
    const expired: string[] = [];
    const [item] = make("item") as [Item];
    const short = createSharedTimeout<Item>(1_000, 100, () => expired.push("short"));
    const long = createSharedTimeout<Item>(2_000, 100, () => expired.push("long"));
    short.add(item);
    long.add(item);
    short.delete(item);
    vi.advanceTimersByTime(2_200);
    expect(expired).toEqual(["long"]);
  });
});

/** Prints how many scavenges there were, and how much of what was young they moved into the old generation. */
const churn = `
  import { setImmediate as turn } from "node:timers/promises";
  import { GCProfiler } from "node:v8";
  import { createSharedTimeout } from "${new URL("../../../src/rpc/connections/shared-timeout.ts", import.meta.url)}";
  const timeout = createSharedTimeout(60_000, 1_000, () => {});
  const live = [];
  async function pass(count) {
    for (let at = 0; at < count; at++) {
      const item = { body: new Array(500).fill(at) };
      timeout.add(item);
      if (live.push(item) > 32) timeout.delete(live.shift());
      if (at % 100 === 0) await turn();
    }
  }
  await pass(1_000);
  globalThis.gc();
  const profiler = new GCProfiler();
  profiler.start();
  await pass(50_000);
  const scavenges = profiler.stop().statistics.filter(({ gcType }) => gcType === "Scavenge");
  const sizeOf = ({ heapSpaceStatistics }, pattern) =>
    heapSpaceStatistics.filter(({ spaceName }) => pattern.test(spaceName)).reduce((sum, each) => sum + each.spaceUsedSize, 0);
  let [young, aged] = [0, 0];
  for (const { beforeGC, afterGC } of scavenges) {
    young += sizeOf(beforeGC, /^new_space/);
    aged += sizeOf(afterGC, /^old/) - sizeOf(beforeGC, /^old/);
  }
  console.log(JSON.stringify({ scavenges: scavenges.length, aged: aged / young }));
`;

test("items that are gone leave memory with the next scavenge, also after a major collection", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--expose-gc",
    "--input-type=module",
    "--eval",
    churn,
  ]);
  const { scavenges, aged } = JSON.parse(stdout) as { scavenges: number; aged: number };
  expect(scavenges).toBeGreaterThan(3);
  // With a Map it was almost half.
  expect(aged).toBeLessThan(0.2);
});
